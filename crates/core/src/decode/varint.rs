//! Numbers of seven bits a byte, the lowest first: what Avro (in zigzag) and Protobuf write whole numbers in.

/// The number at the beginning of `bytes`, and how many bytes it takes; the error says why there is none.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let mut value = 0_u64;
    for (at, shift) in (0..70).step_by(7).enumerate() {
        let Some(byte) = bytes.get(at) else { return Err("the bytes end within a number") };
        if at == 9 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value, at + 1));
        }
    }
    Err("a number has too many bytes")
}

/// A number of zigzag: 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
#[inline]
pub(super) fn signed(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests;
