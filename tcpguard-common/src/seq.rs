//! Sequence numbers: 32 bits that wrap (RFC 9293 section 3.4).

/// A sequence or acknowledgment number.
///
/// Not `Ord`: of two numbers half the space apart neither is first, so "before" is a question about
/// two numbers that are known to be near each other and never a total order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The number `octets` further on.
    #[inline(always)]
    #[must_use]
    pub const fn plus(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }

    /// Octets from `earlier` to here, wrapping.
    #[inline(always)]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Octets from `origin` to here, negative if this number lies before it.
    #[inline(always)]
    #[must_use]
    pub const fn offset_from(self, origin: Self) -> i64 {
        self.0.wrapping_sub(origin.0).cast_signed() as i64
    }

    /// Whether this number lies before `other`, less than half the space away.
    #[inline(always)]
    #[must_use]
    pub const fn before(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() < 0
    }

    /// Whether this number lies behind `other`, less than half the space away.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        let last = SeqNum(u32::MAX);
        assert!(last.before(last.plus(1)));
        assert!(last.plus(1).after(last));
        assert_eq!(last.plus(10).since(last), 10);
    }

    #[test]
    fn before_is_antisymmetric_within_half_the_space() {
        bolero::check!()
            .with_type()
            .for_each(|&(a, distance): &(u32, u32)| {
                let distance = distance % 0x8000_0000;
                let (first, second) = (SeqNum(a), SeqNum(a).plus(distance));
                assert_eq!(first.before(second), distance != 0);
                assert!(!second.before(first));
                assert_eq!(second.since(first), distance);
            });
    }
}
