# SPDX-License-Identifier: Apache-2.0
# Decimal numbers of 1 to `longest` digits and their reverses, as lines of JSON:
#
#     awk -v seed=1 -v longest=60 -v rows=1000 -f numbers.awk     documents to train on
#     awk -v seed=2 -v longest=60 -v each=10 -f numbers.awk       requests for `rwkv batch`
#     awk -v seed=2 -v longest=60 -v each=10 -v single=1 -f numbers.awk
#
# Requests are for whole reverses, or with `single` for each digit after a right beginning:
# "1024," and then "4201", or "1024," and "4", "1024,4" and "2", ….
#
# A document is the prompt "1024," and the text "4201". With the token that ends it, a number of k
# digits takes 2k + 2 tokens. A row is as many documents as fill 2 longest + 8 tokens exactly,
# beginning with a long one. So of windows of that many tokens, cut from the rows one after the
# other, each begins with a number, as a prompt does, and none cuts through one.

# A whole number from 0 to n - 1: Park and Miller's generator, exact and so the same in every awk.
function random(n) {
    state = state * 16807 % 2147483647
    return int(state / 2147483647 * n)
}

# A number of so many digits into `number`, and `reversed`.
function draw(digits,    i, digit) {
    number = reversed = ""
    for (i = 1; i <= digits; i++) {
        digit = i == 1 && digits > 1 ? 1 + random(9) : random(10)
        number = number digit
        reversed = digit reversed
    }
}

function document(digits) {
    draw(digits)
    printf "{\"prompt\": \"%s,\", \"text\": \"%s\"}\n", number, reversed
}

# The first number, the one that meets an empty state as a prompt does, is of any length in half of
# the rows, and in the others of the longest of three lengths drawn, as long ones are the hard ones.
# Those after it are of any length that leaves nothing, or enough for another.
function row(    left, digits) {
    digits = 1 + random(longest)
    if (random(2))
        digits = most(digits, most(1 + random(longest), 1 + random(longest)))
    document(digits)
    for (left = longest + 3 - digits; left; left -= digits + 1) {
        do
            digits = 1 + random(least(longest, left - 1))
        while (digits == left - 2)
        document(digits)
    }
}

function request(beginning, answer) {
    printf "{\"prompt\": \"%s,%s\", \"id\": \"%s\"}\n", number, beginning, answer
}

function requests(digits,    i) {
    draw(digits)
    if (!single)
        request("", reversed)
    for (i = 1; single && i <= digits; i++)
        request(substr(reversed, 1, i - 1), substr(reversed, i, 1))
}

function most(a, b) {
    return a > b ? a : b
}

function least(a, b) {
    return a < b ? a : b
}

BEGIN {
    state = seed
    for (i = 0; i < 9; i++) # away from small seeds, whose first numbers are alike
        random(1)
    for (i = 0; i < rows; i++)
        row()
    for (digits = 1; each && digits <= longest; digits++)
        for (i = 0; i < each; i++)
            requests(digits)
}
