//! Bounded reads from a frame.
//!
//! The parser is written once against these two traits. On the host a frame is a byte slice; in the
//! kernel it is a pair of packet pointers, and the bounds test of [`Cursor::take`] is what the
//! verifier wants to see before a header is read.

/// A position in a frame, moved forward header by header.
pub trait Cursor {
    /// `N` octets of the frame that are known to be there.
    type View<const N: usize>: View<N>;

    /// The next `N` octets, and moves behind them; `None` if the frame ends before.
    fn take<const N: usize>(&mut self) -> Option<Self::View<N>>;

    /// The next `N` octets and the `M` behind them, and moves behind both: in the kernel by one test.
    fn take_both<const N: usize, const M: usize>(
        &mut self,
    ) -> Option<(Self::View<N>, Self::View<M>)> {
        Some((self.take()?, self.take()?))
    }

    /// Moves `octets` forward without looking. Past the end, the next `take` says `None`.
    fn skip(&mut self, octets: usize);

    /// A second cursor at this position, to look ahead with.
    #[must_use]
    fn fork(&self) -> Self
    where
        Self: Sized;

    /// Octets from the beginning of the frame to here.
    fn offset(&self) -> u32;

    /// Octets from here to the end of what can be read.
    fn readable(&self) -> u32;

    /// Octets that the frame had on the wire behind what can be read: a capture may be cut, and a
    /// driver may keep the payload of a large frame in further buffers.
    fn beyond(&mut self) -> u32;

    /// Goes on until a step is the last, or this many are taken.
    ///
    /// A loop, but in the kernel, whose verifier would follow it round by round.
    fn walk<W: Walk>(&mut self, steps: u32, walk: &mut W)
    where
        Self: Sized,
    {
        for _ in 0..steps {
            if !walk.step(self) {
                break;
            }
        }
    }
}

/// A way through headers of which nobody knows how many there are.
pub trait Walk: Copy {
    /// Moves behind one of them, and says whether another one is to be looked at.
    fn step<C: Cursor>(&mut self, cursor: &mut C) -> bool;
}

/// `N` octets that are known to be there, so that reading a field cannot fail.
///
/// Offsets are constants, and one that would leave the view does not compile.
pub trait View<const N: usize>: Copy {
    /// One octet at offset `AT`.
    fn u8<const AT: usize>(self) -> u8;
    /// Two octets in network order at offset `AT`.
    fn be16<const AT: usize>(self) -> u16;
    /// The same under a mask.
    #[inline(always)]
    fn be16_under<const AT: usize>(self, mask: u16) -> u16 {
        self.be16::<AT>() & mask
    }
    /// Four octets in network order at offset `AT`.
    fn be32<const AT: usize>(self) -> u32;
    /// Sixteen octets at offset `AT` as four words *as they lie in the frame*, an IPv6 address.
    fn words<const AT: usize>(self) -> [u32; 4];
}

/// [`Cursor`] over a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct SliceCursor<'a> {
    rest: &'a [u8],
    /// Octets before `rest`.
    offset: usize,
    /// Octets of the frame that are not in `rest` but were on the wire.
    cut: u32,
}

impl<'a> SliceCursor<'a> {
    /// A frame that is there to its last octet.
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        Self::captured(frame, 0)
    }

    /// A frame of which a capture kept only the beginning; `wire_len` is its length on the wire.
    #[must_use]
    pub fn captured(frame: &'a [u8], wire_len: u32) -> Self {
        Self {
            rest: frame,
            offset: 0,
            cut: wire_len.saturating_sub(octets(frame)),
        }
    }
}

impl<'a> Cursor for SliceCursor<'a> {
    type View<const N: usize> = &'a [u8; N];

    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (view, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        self.offset += N;
        Some(view)
    }

    fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or_default();
        self.offset += octets;
    }

    fn fork(&self) -> Self {
        *self
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.offset).unwrap_or(u32::MAX)
    }

    fn readable(&self) -> u32 {
        octets(self.rest)
    }

    fn beyond(&mut self) -> u32 {
        self.cut
    }
}

fn octets(slice: &[u8]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

impl<const N: usize> View<N> for &[u8; N] {
    fn u8<const AT: usize>(self) -> u8 {
        let [octet] = part::<N, AT, 1>(self);
        octet
    }

    fn be16<const AT: usize>(self) -> u16 {
        u16::from_be_bytes(part::<N, AT, 2>(self))
    }

    fn be32<const AT: usize>(self) -> u32 {
        u32::from_be_bytes(part::<N, AT, 4>(self))
    }

    fn words<const AT: usize>(self) -> [u32; 4] {
        let octets = part::<N, AT, 16>(self);
        let (words, _) = octets.as_chunks::<4>();
        core::array::from_fn(|i| words.get(i).copied().map_or(0, u32::from_ne_bytes))
    }
}

fn part<const N: usize, const AT: usize, const M: usize>(octets: &[u8; N]) -> [u8; M] {
    const { assert!(AT + M <= N, "the field lies outside of its header") };
    let mut field = [0; M];
    field.copy_from_slice(&octets[AT..AT + M]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_moves_behind_what_it_gave() {
        let mut cursor = SliceCursor::new(&[1, 2, 3, 4, 5]);
        assert_eq!(cursor.take::<2>().map(View::be16::<0>), Some(0x0102));
        assert_eq!(cursor.readable(), 3);
        assert_eq!(cursor.take::<4>(), None);
        assert_eq!(cursor.take::<3>().map(View::u8::<2>), Some(5));
    }

    #[test]
    fn skip_past_the_end_leaves_nothing_to_take() {
        let mut cursor = SliceCursor::new(&[1, 2, 3]);
        cursor.skip(7);
        assert_eq!(cursor.readable(), 0);
        assert_eq!(cursor.take::<1>(), None);
    }

    #[test]
    fn beyond_is_what_a_capture_cut_off() {
        let mut cursor = SliceCursor::captured(&[0; 60], 1514);
        cursor.skip(14);
        assert_eq!((cursor.readable(), cursor.beyond()), (46, 1454));
        assert_eq!(SliceCursor::new(&[0; 60]).beyond(), 0);
    }

    #[test]
    fn words_keep_the_order_of_the_frame() {
        let octets: [u8; 16] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        let words = (&octets).words::<0>();
        assert_eq!(words[1].to_ne_bytes(), [4, 5, 6, 7]);
    }
}
