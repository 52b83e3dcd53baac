//! A connection as seen from the middle of the path: two half-connections, one per direction.
//!
//! A segment writes only the half of its own direction, and the state is derived from both halves,
//! never stored. So the ingress and the egress hook need no lock between them, and nothing can get
//! out of step.

pub mod half;
pub mod state;
