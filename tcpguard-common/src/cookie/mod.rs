//! SYN cookies: what is answered by the guard in place of the stack, and when.
//!
//! ```text
//! SYN+ACK that leaves -> Listener   this port answers, with this MSS, window and scale
//! SYN that arrives    -> Pressure   are too many handshakes not completed?
//!                     -> Offer, cookie of the kernel's -> Answer   nothing is remembered
//! ACK of no entry     -> the kernel's check of the cookie           -> a connection
//! ```
//!
//! The cookie is the kernel's own, made and checked by its helpers, so the kernel takes the ACK that
//! proves it for one of its own (`cookie_v4_check` in net/ipv4/syncookies.c). What else of the SYN has
//! to be known then, stands in the time stamp that the peer echoes (`cookie_init_timestamp`).
//! Read first: RFC 4987 section 3.6.

pub mod answer;
pub mod listener;
pub mod offer;
pub mod pressure;

/// When SYNs are answered with cookies. Part of the ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum When {
    /// Never.
    #[default]
    Off = 0,
    /// While [`pressure::Pressure::is_high`] says so.
    Auto = 1,
    /// Always.
    Always = 2,
}

impl When {
    /// As it crosses to the kernel; what is no moment is never.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Auto,
            2 => Self::Always,
            _ => Self::Off,
        }
    }
}

/// What the stack accepts beside the cookie, by its sysctls, one bit each. Part of the ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Means(u32);

impl Means {
    /// Nothing but the MSS.
    pub const NONE: Self = Self(0);
    /// Options that are carried in a time stamp: `net.ipv4.tcp_timestamps` is 2. With 1 the stack adds a
    /// secret number to the time stamps of each peer, and reads the options out of what is left.
    pub const TIMESTAMPS: Self = Self(1);
    /// SACK: `net.ipv4.tcp_sack`.
    pub const SACK: Self = Self(1 << 1);
    /// Window scale: `net.ipv4.tcp_window_scaling`.
    pub const SCALE: Self = Self(1 << 2);
    /// ECN: `net.ipv4.tcp_ecn`.
    pub const ECN: Self = Self(1 << 3);

    /// These and `other`.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `other` is among these.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
