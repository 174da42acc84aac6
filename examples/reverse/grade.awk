# SPDX-License-Identifier: Apache-2.0
# How many digits, and how many numbers, are right in the answers of `rwkv batch`, each with what it
# should be as its "id". A digit is right in its place only; a missing one is wrong, and so is a
# number that goes on behind its end. With `single` each answer is one digit, after a right
# beginning.

# The string that a line of JSON has as this member.
function member(name,    rest) {
    if (!match($0, "\"" name "\": *\"[^\"]*\""))
        return ""
    rest = substr($0, RSTART, RLENGTH - 1)
    sub(/.*"/, "", rest)
    return rest
}

{
    wanted = member("id")
    found = member("text")
    for (i = 1; i <= length(wanted); i++)
        right += substr(wanted, i, 1) == substr(found, i, 1)
    digits += length(wanted)
    whole += wanted == found
}

END {
    printf "digits  %d of %d right, %.3f %%%s\n", right, digits, 100 * right / digits,
        single ? ", each after a right beginning" : ""
    if (!single)
        printf "numbers %d of %d right, %.2f %%\n", whole, NR, 100 * whole / NR
}
