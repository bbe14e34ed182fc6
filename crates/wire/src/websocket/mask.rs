//! Masking: the exclusive or of a payload with a four byte key (RFC 6455, 5.3).

/// Masks or unmasks `bytes` in place; the first byte meets the first byte of `key`.
///
/// For a payload that comes in pieces, the caller rotates the key left by the length of each piece.
pub fn apply_mask(key: [u8; 4], bytes: &mut [u8]) {
    // Whole words: the compiler turns this loop into vector instructions, which a loop over bytes with `key[i % 4]`
    // does not become.
    let wide = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn every_length_and_every_cut_agrees_with_the_definition() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).map(|i| i as u8 ^ 0x5a).collect();
            let expected: Vec<u8> = plain.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            for cut in 0..=plain.len() {
                let mut masked = plain.clone();
                let (head, tail) = masked.split_at_mut(cut);
                let mut rotated = key;
                apply_mask(rotated, head);
                rotated.rotate_left(cut % 4);
                apply_mask(rotated, tail);
                assert_eq!(masked, expected, "length {len}, cut at {cut}");
            }
        }
    }
}
