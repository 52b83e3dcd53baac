//! Choices that no processor can foresee, made without a branch: one that is guessed wrong costs as much as the
//! rest of the parser.

/// All ones of a negative number, and none of another.
///
/// By hand for BPF, which has no instruction for the outcome of a comparison: LLVM knows what the shift is for,
/// and makes a branch of whatever uses it (LLVM 22).
#[inline(always)]
#[must_use]
pub(crate) fn ones_if_negative(number: i64) -> u64 {
    #[cfg(target_arch = "bpf")]
    let ones = {
        let mut ones = number.cast_unsigned();
        #[expect(unsafe_code, reason = "LLVM leaves no other way")]
        // SAFETY: shifts a register.
        unsafe {
            core::arch::asm!("{0} s>>= 63", inout(reg) ones, options(pure, nomem, nostack));
        }
        ones
    };
    #[cfg(not(target_arch = "bpf"))]
    let ones = (number >> 63).cast_unsigned();
    ones
}

/// Two numbers below 2^63, the lower one first; and all ones if that is the second, else none.
#[inline(always)]
#[must_use]
pub(crate) fn ordered(one: u64, two: u64) -> ([u64; 2], u64) {
    let swapped = ones_if_negative(two.wrapping_sub(one).cast_signed());
    let between = (one ^ two) & swapped;
    ([one ^ between, two ^ between], swapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_number_comes_first() {
        bolero::check!()
            .with_type()
            .for_each(|&(one, two): &(u64, u64)| {
                let [one, two] = [one >> 1, two >> 1];
                let (ordered, swapped) = ordered(one, two);
                assert_eq!(ordered, [one.min(two), one.max(two)]);
                assert_eq!(swapped, if two < one { u64::MAX } else { 0 });
            });
    }
}
