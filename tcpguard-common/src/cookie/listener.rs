//! Ports that the host's stack answers, as its own SYN+ACKs tell.
//!
//! What the stack offers hangs on sysctls, the route and the socket's buffer, and it reckons the same
//! again when a cookie comes back, so the answer must offer just that. The stack is asked anew each second,
//! by a SYN that it gets; so whatever changes is known, without a list that somebody would have to keep.

use super::offer::Offer;
use crate::{
    conn::{
        seen::Seen,
        time::{SECOND, Ticks},
    },
    flow::{FlowKey4, FlowKey6, Way},
};

/// An address and a port of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Local {
    /// In words as [`FlowKey4`] and [`FlowKey6`] have them; of IPv4 only the first.
    address: [u32; 4],
    port: u16,
    version: u16,
}

impl Local {
    /// The end that a segment of IPv4 goes to if it goes `way`.
    #[inline(always)]
    #[must_use]
    pub fn destination4(key: &FlowKey4, way: Way) -> Self {
        let ([_, address], [_, port]) = (way.order(key.addresses), way.order(key.ports));
        Self {
            address: [address, 0, 0, 0],
            port,
            version: 4,
        }
    }

    /// The same of IPv6.
    #[inline(always)]
    #[must_use]
    pub fn destination6(key: &FlowKey6, way: Way) -> Self {
        let ([_, address], [_, port]) = (way.order(key.addresses), way.order(key.ports));
        Self {
            address,
            port,
            version: 6,
        }
    }
}

/// What the stack answers a SYN with. Part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Listener {
    /// When it last answered.
    heard: Ticks,
    /// When it was last asked.
    asked: Ticks,
    /// The largest segment that it takes.
    pub mss: u16,
    /// Its window, not scaled.
    pub window: u16,
    /// Its window scale, or [`Seen::NO_SCALE`] if it has not offered any yet.
    pub scale: u8,
    /// Zero.
    reserved: [u8; 3],
}

/// How long a port without an answer is one that answers.
const STALE: u32 = 60 * SECOND;

impl Listener {
    /// One that is heard for the first time.
    pub const NEW: Self = Self {
        heard: Ticks(0),
        asked: Ticks(0),
        mss: 0,
        window: 0,
        scale: Seen::NO_SCALE,
        reserved: [0; 3],
    };

    /// Takes note of a SYN+ACK of the stack's.
    #[inline(always)]
    pub const fn hear(&mut self, offer: &Offer, window: u16, now: Ticks) {
        self.heard = now;
        self.mss = offer.mss;
        self.window = window;
        // It is offered only to who offers one.
        if offer.scale != Seen::NO_SCALE {
            self.scale = offer.scale;
        }
    }

    /// Whether the next SYN is answered in its place; if not, it is asked itself.
    #[inline(always)]
    pub const fn is_spared(&mut self, now: Ticks) -> bool {
        if now.past(self.asked) >= SECOND {
            self.asked = now;
            return false;
        }
        self.mss != 0 && now.past(self.heard) <= STALE
    }
}

const _: () = assert!(size_of::<Local>() == 20);
const _: () = assert!(size_of::<Listener>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(at: u32) -> Listener {
        let offer = Offer {
            mss: 1460,
            scale: 7,
            ..Offer::NOTHING
        };
        let mut listener = Listener::NEW;
        listener.hear(&offer, 65_160, Ticks(at));
        listener
    }

    #[test]
    fn it_is_asked_once_a_second_and_spared_of_all_else() {
        let mut listener = heard(1_000);
        let asked = |listener: &mut Listener, at: u32| {
            let syns = (0..100).filter(|_| !listener.is_spared(Ticks(at)));
            syns.count()
        };
        let ticks = 1_000..1_000 + 10 * SECOND;
        let sum: usize = ticks.map(|at| asked(&mut listener, at)).sum();
        assert_eq!(sum, 10);
    }

    #[test]
    fn who_has_not_answered_for_a_minute_is_not_answered_for() {
        let mut listener = heard(1_000);
        listener.is_spared(Ticks(1_000));
        assert!(listener.is_spared(Ticks(1_001)));
        let late = 1_001 + STALE;
        listener.is_spared(Ticks(late));
        assert!(!listener.is_spared(Ticks(late + 1)));
    }

    #[test]
    fn a_scale_is_kept_that_was_offered_to_another() {
        let mut listener = heard(1_000);
        let plain = Offer {
            mss: 1400,
            ..Offer::NOTHING
        };
        listener.hear(&plain, 64_000, Ticks(1_001));
        assert_eq!(
            (listener.mss, listener.window, listener.scale),
            (1400, 64_000, 7)
        );
    }

    #[test]
    fn the_same_end_is_named_whichever_way_a_key_is_ordered() {
        let (low, high) = ((1, 80), (2, 40_000));
        let (key, up) = FlowKey4::new(low, high);
        let (_, down) = FlowKey4::new(high, low);
        let [to_high, to_low] = [up, down].map(|way| Local::destination4(&key, way));
        assert_eq!((to_high.address[0], to_high.port), high);
        assert_eq!((to_low.address[0], to_low.port), low);
    }
}
