/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the block types look like with 16 rows side by side. Body for one instruction set; see
 * vec/base.h and vec/dot.h.
 *
 * The image of a block holds what 16 rows have in one place of the file next to each other: dword
 * after dword of the rows' blocks [dwords][16][4 bytes], then their 16-bit fields [halves][16]. The
 * lanes of a vector are rows, so taking codes apart is the same few shifts and masks for all of
 * them, and no lane ever moves.
 *
 * `type` is a constant wherever these are called, and so are element and group numbers once loops
 * are unrolled: nothing is left of the choices.
 */

/* Where the parts of a block lie in the file, in bytes; a block is made of nothing else. */
struct dot_layout {
    size_t elements, bytes;
    size_t pieces_at, pieces; /* of 16 bytes */
    size_t dwords_at, dwords;
    size_t halves_at, halves;
};

VEC struct dot_layout dot_layout(rwkv_dtype type)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
    case RWKV_DTYPE_IQ4_NL:
        return (struct dot_layout){32, 18, 2, 1, 0, 0, 0, 1};
    case RWKV_DTYPE_Q4_1:
        return (struct dot_layout){32, 20, 4, 1, 0, 0, 0, 2};
    case RWKV_DTYPE_Q5_0:
        return (struct dot_layout){32, 22, 6, 1, 2, 1, 0, 1};
    case RWKV_DTYPE_Q5_1:
        return (struct dot_layout){32, 24, 8, 1, 4, 1, 0, 2};
    case RWKV_DTYPE_Q8_0:
        return (struct dot_layout){32, 34, 2, 2, 0, 0, 0, 1};
    case RWKV_DTYPE_Q2_K: /* scales, codes; d, dmin */
        return (struct dot_layout){256, 84, 0, 5, 0, 0, 80, 2};
    case RWKV_DTYPE_Q3_K: /* high bits, codes; scales; d */
        return (struct dot_layout){256, 110, 0, 6, 96, 3, 108, 1};
    case RWKV_DTYPE_Q4_K: /* codes; scales; d, dmin */
        return (struct dot_layout){256, 144, 16, 8, 4, 3, 0, 2};
    case RWKV_DTYPE_Q5_K: /* high bits, codes; scales; d, dmin */
        return (struct dot_layout){256, 176, 16, 10, 4, 3, 0, 2};
    case RWKV_DTYPE_Q6_K: /* low, high bits, scales; d */
        return (struct dot_layout){256, 210, 0, 13, 0, 0, 208, 1};
    default: /* IQ4_XS: codes; low bits of scales; d, high bits of scales */
        return (struct dot_layout){256, 136, 8, 8, 4, 1, 0, 2};
    }
}

/* As many as 16 rows take in the file. */
VEC size_t dot_image_bytes(rwkv_dtype type)
{
    return RW_PANEL_ROWS * dot_layout(type).bytes;
}

/* Elements that share a scale. */
VEC size_t dot_group(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q2_K || type == RWKV_DTYPE_Q3_K || type == RWKV_DTYPE_Q6_K ? 16 : 32;
}

VEC int dot_has_min(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q4_1 || type == RWKV_DTYPE_Q5_1 || type == RWKV_DTYPE_Q2_K ||
           type == RWKV_DTYPE_Q4_K || type == RWKV_DTYPE_Q5_K;
}

/* Codes of all eight bits: an instruction set multiplies either bytes without a sign, and then
 * these have 128 added, or bytes with one. */
VEC int dot_wide(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q8_0 || type == RWKV_DTYPE_IQ4_NL || type == RWKV_DTYPE_IQ4_XS;
}

/* What is to be subtracted from a code. */
VEC int dot_offset(rwkv_dtype type)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
        return 8;
    case RWKV_DTYPE_Q5_0:
        return 16;
    case RWKV_DTYPE_Q6_K:
        return 32;
    case RWKV_DTYPE_Q3_K:
        return 4;
    default:
        return dot_wide(type) ? DOT_WIDE_OFFSET : 0;
    }
}

/* --- codes ------------------------------------------------------------------------------------ */

/* Dword d of the image, of the LANES rows that `image` points to. */
VEC vi image_dword(const uint8_t *image, size_t d)
{
    return vi_load(image + d * IMAGE_DWORD);
}

VEC vi image_low(const uint8_t *image, size_t d)
{
    return vi_and(image_dword(image, d), vi_bytes(15));
}

VEC vi image_high(const uint8_t *image, size_t d)
{
    return vi_and(vi_shift_right(image_dword(image, d), 4), vi_bytes(15));
}

/* Bit or bits `from` of each byte moved to bit `to`, the others cleared. */
VEC vi bits_at(vi v, int from, int to, int mask)
{
    if (from < to)
        v = vi_shift_left(v, to - from);
    if (from > to)
        v = vi_shift_right(v, from - to);
    return vi_and(v, vi_bytes(mask << to));
}

/* Four-bit codes, the first half of each 32 in the low halves of 16 bytes. */
VEC vi image_nibbles(const uint8_t *image, size_t j)
{
    const size_t d = 4 * (j / 8) + j % 4;
    return j / 4 % 2 ? image_high(image, d) : image_low(image, d);
}

/* Codes of elements 4j … 4j + 3 of a block, j in [0, 64): four bytes of each row. */
VEC vi dot_codes(rwkv_dtype type, const uint8_t *image, size_t j)
{
    const size_t half = j / 32, e = j % 32;
    switch (type) {
    case RWKV_DTYPE_Q8_0:
        return vi_wide(image_dword(image, j));
    case RWKV_DTYPE_Q4_0:
    case RWKV_DTYPE_Q4_1:
        return image_nibbles(image, j);
    case RWKV_DTYPE_Q5_0:
    case RWKV_DTYPE_Q5_1:
        return vi_or(image_nibbles(image, j), vi_fifth(image_dword(image, 4), j));
    case RWKV_DTYPE_Q2_K:
        return bits_at(image_dword(image, 4 + 8 * half + e % 8), 2 * (int)(e / 8), 0, 3);
    case RWKV_DTYPE_Q3_K:
        return vi_or(bits_at(image_dword(image, 8 + 8 * half + e % 8), 2 * (int)(e / 8), 0, 3),
                     bits_at(image_dword(image, j % 8), (int)(j / 8), 2, 1));
    case RWKV_DTYPE_Q4_K:
        return j / 8 % 2 ? image_high(image, 8 * (j / 16) + j % 8)
                         : image_low(image, 8 * (j / 16) + j % 8);
    case RWKV_DTYPE_Q5_K:
        return vi_or(j / 8 % 2 ? image_high(image, 8 + 8 * (j / 16) + j % 8)
                               : image_low(image, 8 + 8 * (j / 16) + j % 8),
                     bits_at(image_dword(image, j % 8), (int)(j / 8), 4, 1));
    case RWKV_DTYPE_Q6_K:
        return vi_or(e / 16 ? image_high(image, 16 * half + e % 16)
                            : image_low(image, 16 * half + e % 16),
                     bits_at(image_dword(image, 32 + 8 * half + e % 8), 2 * (int)(e / 8), 4, 3));
    default: /* IQ4_NL, IQ4_XS */
        return vi_iq4(image_nibbles(image, j));
    }
}

/* --- scales ----------------------------------------------------------------------------------- */

/* The dwords of a block that hold the scales of its groups: where in the image, and how many. */
VEC size_t dot_scales_at(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q2_K ? 0 : type == RWKV_DTYPE_Q6_K ? 48 : 4 * dot_layout(type).pieces;
}

VEC size_t dot_scale_dwords(rwkv_dtype type)
{
    if (dot_layout(type).elements == 32)
        return 0;
    return type == RWKV_DTYPE_Q2_K || type == RWKV_DTYPE_Q6_K ? 4 : dot_layout(type).dwords;
}

VEC const uint8_t *image_scales(rwkv_dtype type, const uint8_t *image)
{
    return image + dot_scales_at(type) * IMAGE_DWORD;
}

/* The image's 16-bit fields. */
VEC const uint8_t *image_halves(rwkv_dtype type, const uint8_t *image)
{
    struct dot_layout at = dot_layout(type);
    return image + (4 * at.pieces + at.dwords) * IMAGE_DWORD;
}

/* Bits [from, from + n) of each dword. */
VEC vi field(vi v, int from, int n)
{
    return vi_and(vi_shift_right(v, from), vi_set((1 << n) - 1));
}

/* Two bits above four. */
VEC vi six_bits(vi low, vi high)
{
    return vi_or(low, vi_shift_left(high, 4));
}

/* The six-bit scale (or minimum) g of Q4_K and Q5_K; `own` holds the first four of its kind. */
VEC vi scale_q45_k(vi own, vi both, int nibble, size_t g)
{
    const int byte = 8 * (int)(g % 4);
    if (g < 4)
        return field(own, byte, 6);
    return six_bits(field(both, byte + nibble, 4), field(own, byte + 6, 2));
}

/* The whole number that group g of a block multiplies d by; `scales` as image_scales has them. */
VEC vi dot_scale_code(rwkv_dtype type, const uint8_t *scales, vi high, size_t g)
{
    const int byte = 8 * (int)(g % 4);
    switch (type) {
    case RWKV_DTYPE_Q2_K:
        return field(image_dword(scales, g / 4), byte, 4);
    case RWKV_DTYPE_Q3_K: {
        vi low = field(image_dword(scales, g % 8 / 4), byte + 4 * (int)(g / 8), 4);
        vi two = field(image_dword(scales, 2), byte + 2 * (int)(g / 4), 2);
        return vi_sub(six_bits(low, two), vi_set(32));
    }
    case RWKV_DTYPE_Q4_K:
    case RWKV_DTYPE_Q5_K:
        return scale_q45_k(image_dword(scales, 0), image_dword(scales, 2), 0, g);
    case RWKV_DTYPE_Q6_K:
        return vi_shift_right_signed(vi_shift_left(image_dword(scales, g / 4), 24 - byte), 24);
    default: { /* IQ4_XS */
        vi low = field(image_dword(scales, 0), 4 * (int)g, 4);
        return vi_sub(six_bits(low, field(high, 2 * (int)g, 2)), vi_set(32));
    }
    }
}

/* And what it multiplies −dmin by. */
VEC vi dot_min_code(rwkv_dtype type, const uint8_t *scales, size_t g)
{
    if (type == RWKV_DTYPE_Q2_K)
        return field(image_dword(scales, g / 4), 8 * (int)(g % 4) + 4, 4);
    return scale_q45_k(image_dword(scales, 1), image_dword(scales, 2), 4, g);
}

/* The 16-bit fields of a block as numbers. */
struct dot_head {
    vf d, d_min; /* d_min: the minimum itself (Q4_1, Q5_1), or dmin with its sign turned */
    vi high;     /* IQ4_XS: high bits of the scales */
};

/* `halves` as image_halves has them; `row`: the first of the LANES rows. */
VEC struct dot_head head_open(rwkv_dtype type, const uint8_t *halves, size_t row)
{
    struct dot_head head;
    head.d = v_load_f16(halves + 2 * row);
    head.d_min = v_zero();
    head.high = vi_set(0);
    if (type == RWKV_DTYPE_IQ4_XS)
        head.high = vi_load_u16(halves + IMAGE_HALF + 2 * row);
    else if (dot_has_min(type))
        head.d_min = v_load_f16(halves + IMAGE_HALF + 2 * row);
    if (type == RWKV_DTYPE_Q2_K || type == RWKV_DTYPE_Q4_K || type == RWKV_DTYPE_Q5_K)
        head.d_min = v_negate(head.d_min);
    return head;
}

/* `scales` as image_scales has them. */
VEC vf head_scale(rwkv_dtype type, const struct dot_head *head, const uint8_t *scales, size_t g)
{
    if (dot_layout(type).elements == 32)
        return head->d;
    return v_mul(head->d, v_from_vi(dot_scale_code(type, scales, head->high, g)));
}

VEC vf head_min(rwkv_dtype type, const struct dot_head *head, const uint8_t *scales, size_t g)
{
    if (dot_layout(type).elements == 32)
        return head->d_min;
    return v_mul(head->d_min, v_from_vi(dot_min_code(type, scales, g)));
}

/* The same of an image. */
VEC struct dot_head dot_head(rwkv_dtype type, const uint8_t *image, size_t row)
{
    return head_open(type, image_halves(type, image), row);
}

VEC vf dot_scale(rwkv_dtype type, const struct dot_head *head, const uint8_t *image, size_t g)
{
    return head_scale(type, head, image_scales(type, image), g);
}

VEC vf dot_min(rwkv_dtype type, const struct dot_head *head, const uint8_t *image, size_t g)
{
    return head_min(type, head, image_scales(type, image), g);
}
