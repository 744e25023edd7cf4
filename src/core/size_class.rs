//! Size classes of recycled memory. There are four per power of two, so a reused block wastes at most a quarter.

/// The smallest block, in bytes: a cache line, which is also the widest SIMD register.
pub const SMALLEST: usize = 64;

/// The smallest class that holds `bytes`. Sizes are 64, 80, 96, 112, 128, 160, 192, 224, 256, ...
#[inline]
pub fn class_of(bytes: usize) -> usize {
    let bytes = bytes.max(SMALLEST);
    let power = bytes.ilog2() as usize;
    let quarter = 1usize << (power - 2);
    let steps = (bytes - (1 << power)).div_ceil(quarter);
    (power - 6) * 4 + steps
}

/// The size in bytes of a class's blocks.
pub fn class_bytes(class: usize) -> usize {
    let power = 6 + class / 4;
    (1usize << power) + (class % 4) * (1usize << (power - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size_and_waste_at_most_a_quarter() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let capacity = class_bytes(class_of(bytes));
            assert!(capacity >= bytes, "{bytes} bytes in a class of {capacity}");
            assert!(bytes < 64 || capacity - bytes <= bytes / 4, "{bytes} bytes waste {}", capacity - bytes);
        }
    }
}
