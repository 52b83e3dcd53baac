//! Header formats: where each field lies, and nothing else.
//!
//! Every reader takes a view of the header's fixed part, so no read can fail. Values are in host
//! order; what is checked about them is the parser's business.

pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod options;
pub mod tcp;
