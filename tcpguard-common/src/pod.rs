//! The types that cross between kernel and user space, as `aya` wants to know them.
#![expect(
    unsafe_code,
    reason = "`Pod` is an unsafe trait; every type below is plain data"
)]

use aya::Pod;

use crate::{
    abi::{Adjudication, Config},
    cookie::{
        listener::{Listener, Local},
        pressure::Pressure,
    },
    counters::{Counters, Events},
    evidence::Shelf,
    flow::{FlowKey4, FlowKey6},
    limit::{Bucket, SynLimit},
    ports::PortSet,
    table::Set,
};

// SAFETY: `repr(C)`, integers and arrays of integers only, no padding (asserted in `abi`).
unsafe impl Pod for Config {}
// SAFETY: as above.
unsafe impl Pod for Counters {}
// SAFETY: as above.
unsafe impl Pod for Adjudication {}
// SAFETY: as above.
unsafe impl Pod for Events {}
// SAFETY: as above.
unsafe impl Pod for Shelf {}
// SAFETY: as above.
unsafe impl Pod for PortSet {}
// SAFETY: as above.
unsafe impl Pod for Bucket {}
// SAFETY: as above.
unsafe impl Pod for SynLimit {}
// SAFETY: as above.
unsafe impl Pod for Pressure {}
// SAFETY: as above.
unsafe impl Pod for Local {}
// SAFETY: as above.
unsafe impl Pod for Listener {}
// SAFETY: as above; of an entry, every field is a number of which any value is valid.
unsafe impl Pod for Set<FlowKey4> {}
// SAFETY: as above.
unsafe impl Pod for Set<FlowKey6> {}
