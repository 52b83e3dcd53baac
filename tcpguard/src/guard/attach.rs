//! Loading the programs and attaching them to interfaces.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    panic, thread,
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
        links::{FdLink, LinkError},
        tc::{self, TcAttachOptions},
    },
    sys::SyscallError,
};
use netlink_packet_route::link::LinkLayerType;
use tcpguard_common::{
    abi::{self, Config, EGRESS_PROGRAM, Hook, INGRESS_PROGRAM, MAX_INTERFACES, Transcript},
    parse::Link,
};

use super::{Attached, Options, error::AttachError, error::chain};
use crate::{
    admission::{
        Admission,
        cookies::Cookies,
        opening::{self, Opening},
    },
    cli::Mode,
    netlink::{self, Interface},
    object::{self, Log},
    programs,
    sample::{Egress, Ingress},
    tracking::Plan,
};

/// An interface that is to be guarded, and what its frames begin with.
struct Target {
    interface: Interface,
    link: Link,
}

/// Opens the object for the named interfaces, loads it and attaches it to each.
pub(super) fn attach(
    options: &Options,
) -> Result<(Ebpf, Config, Vec<Attached>, Plan), AttachError> {
    let targets = targets(&options.interfaces)?;
    let bridges = targets.iter().any(|target| target.interface.has_controller);
    let plan = options.tracking.plan(bridges);
    let plan = plan.map_err(AttachError::Tracking)?;
    let config = plan.apply(config(options, &targets));
    let mut config = config.map_err(AttachError::Tracking)?;
    let interfaces = targets.iter().map(|target| &target.interface);
    let places = interfaces.map(|it| opening::Place {
        name: &it.name,
        is_loopback: it.is_loopback(),
        before: Opening::default(),
    });
    let openings = options.openings.of(places);
    let cookies = Cookies::prepare(options.cookies, &config, options.mode);
    let admission = Admission {
        openings: openings.map_err(AttachError::Admission)?,
        source: options.source,
        sources: options.sources.clone(),
        cookies: cookies.map_err(AttachError::Admission)?,
    };
    admission
        .apply(&mut config)
        .map_err(AttachError::Admission)?;
    let mut ebpf = object::open(&config, options.log)?;
    admission.write(&mut ebpf).map_err(AttachError::Maps)?;
    load(&mut ebpf)?;
    let attached = targets
        .iter()
        .zip(admission.openings)
        .map(|(target, opening)| attach_to(&mut ebpf, target, opening, options))
        .collect::<Result<_, _>>()?;
    Ok((ebpf, config, attached, plan))
}

/// Finds the interfaces, and refuses those that cannot be guarded before anything is loaded.
fn targets(names: &[String]) -> Result<Vec<Target>, AttachError> {
    let known = netlink::interfaces().map_err(AttachError::Netlink)?;
    let mut targets: Vec<Target> = Vec::new();
    for name in names {
        let Some(interface) = known.iter().find(|interface| interface.name == *name) else {
            let known = known.into_iter().map(|interface| interface.name).collect();
            return Err(AttachError::UnknownInterface {
                name: name.clone(),
                known,
            });
        };
        // Named twice is guarded once.
        if targets
            .iter()
            .any(|target| target.interface.index == interface.index)
        {
            continue;
        }
        if let Some(id) = interface.xdp_programs.first() {
            return Err(occupied(name.clone(), *id));
        }
        targets.push(Target {
            link: link(interface)?,
            interface: interface.clone(),
        });
    }
    if targets.len() > MAX_INTERFACES {
        return Err(AttachError::TooManyInterfaces {
            given: targets.len(),
        });
    }
    Ok(targets)
}

/// What the frames of an interface begin with.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum of the library is not exhaustive"
)]
fn link(interface: &Interface) -> Result<Link, AttachError> {
    match interface.layer {
        LinkLayerType::Ether | LinkLayerType::Loopback => Ok(Link::Ethernet),
        // tun, WireGuard and tunnels: no link layer of their own.
        LinkLayerType::None
        | LinkLayerType::Rawip
        | LinkLayerType::Ppp
        | LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre => Ok(Link::RawIp),
        other => Err(AttachError::UnknownLayer {
            interface: interface.name.clone(),
            layer: format!("{other:?}"),
        }),
    }
}

fn occupied(interface: String, id: u32) -> AttachError {
    let program = program_name(id);
    if programs::is_guard(program.as_bytes()) {
        AttachError::Guarded {
            interface,
            program,
            id,
        }
    } else {
        AttachError::Occupied {
            interface,
            program,
            id,
        }
    }
}

fn program_name(id: u32) -> String {
    // Who may attach may not always look.
    let program = programs::with_id(id).ok().flatten();
    program
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_else(|| "without a name".to_owned())
}

fn config(options: &Options, targets: &[Target]) -> Config {
    let mut interfaces = [abi::Interface::default(); MAX_INTERFACES];
    for (slot, target) in interfaces.iter_mut().zip(targets) {
        *slot = abi::Interface {
            index: target.interface.index,
            raw_ip: u16::from(target.link == Link::RawIp),
            inbound: 0,
        };
    }
    let transcript = match options.log {
        Log::Off => Transcript::Off,
        Log::Debug => Transcript::Log,
    };
    Config {
        ingress: options.policy,
        // Nothing that this host sends is dropped: it would harm the host's own connections.
        egress: options.policy.observed(),
        transcript: transcript as u32,
        interface_count: u32::try_from(targets.len()).unwrap_or(u32::MAX),
        evidence: 1,
        interfaces,
        ..Config::DEFAULT
    }
}

/// Hands both programs to the verifier, at the same time: what it takes is nearly all that there is between a
/// command and a guard.
pub(crate) fn load(ebpf: &mut Ebpf) -> Result<(), AttachError> {
    let (mut ingress, mut egress) = (None, None);
    for (name, program) in ebpf.programs_mut() {
        match name {
            INGRESS_PROGRAM => ingress = Some(program),
            EGRESS_PROGRAM => egress = Some(program),
            _ => {}
        }
    }
    let (checked, beside) = thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, || {
            program::<SchedClassifier>(egress).and_then(SchedClassifier::load)
        });
        let checked = program::<Xdp>(ingress).and_then(Xdp::load);
        let beside = beside.map_err(ProgramError::from).and_then(|thread| {
            let result = thread.join();
            result.unwrap_or_else(|panic| panic::resume_unwind(panic))
        });
        (checked, beside)
    });
    let error = |program| move |source| AttachError::Load { program, source };
    checked.map_err(error(INGRESS_PROGRAM))?;
    beside.map_err(error(EGRESS_PROGRAM))
}

/// The program of the object that is of this kind.
fn program<'a, P>(program: Option<&'a mut Program>) -> Result<&'a mut P, ProgramError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    program.ok_or(ProgramError::NotLoaded)?.try_into()
}

/// The XDP program.
pub(crate) fn ingress(ebpf: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    program(ebpf.program_mut(INGRESS_PROGRAM))
}

/// The traffic-control program.
pub(crate) fn egress(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, ProgramError> {
    program(ebpf.program_mut(EGRESS_PROGRAM))
}

fn attach_to(
    ebpf: &mut Ebpf,
    Target { interface, link }: &Target,
    opening: Opening,
    options: &Options,
) -> Result<Attached, AttachError> {
    let (held, ingress, refusal) = attach_ingress(ebpf, interface, options.mode)?;
    let mut links = vec![(Hook::Ingress, held)];
    // On loopback all that leaves also arrives, and is judged there.
    let egress = if options.tracking.ingress_only {
        Egress::Unseen
    } else if interface.is_loopback() {
        Egress::None
    } else {
        let (held, egress) = attach_egress(ebpf, interface)?;
        links.extend(held.map(|held| (Hook::Egress, held)));
        egress
    };
    Ok(Attached {
        name: interface.name.clone(),
        ingress,
        refusal,
        egress,
        opening,
        link: *link,
        index: interface.index,
        is_loopback: interface.is_loopback(),
        links,
    })
}

/// In the driver if it takes the program and may, else in the network stack if that may be; with the
/// driver's refusal, if it was asked.
fn attach_ingress(
    ebpf: &mut Ebpf,
    interface: &Interface,
    mode: Mode,
) -> Result<(FdLink, Ingress, Option<String>), AttachError> {
    let program = ingress(ebpf).map_err(|source| AttachError::Load {
        program: INGRESS_PROGRAM,
        source,
    })?;
    let mut refusal = None;
    if mode != Mode::Generic {
        match attach_xdp(program, interface, XdpMode::Driver) {
            Ok(link) => return Ok((link, Ingress::Native, None)),
            Err(error) => {
                let said = why_native_is_refused(program, interface);
                let why = said.unwrap_or_else(|| chain(&error));
                if mode == Mode::Native {
                    let hint = hint(&why);
                    return Err(AttachError::NativeRefused {
                        interface: interface.name.clone(),
                        why,
                        hint,
                    });
                }
                refusal = Some(why);
            }
        }
    }
    let link = attach_xdp(program, interface, XdpMode::Skb).map_err(|error| {
        AttachError::GenericRefused {
            interface: interface.name.clone(),
            why: chain(&error),
        }
    })?;
    Ok((link, Ingress::Generic, refusal))
}

fn attach_xdp(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
) -> Result<FdLink, ProgramError> {
    let id = program.attach_to_if_index(interface.index, mode)?;
    let link = program.take_link(id)?;
    // Not a link that a kill would leave behind: aya falls back to netlink if the kernel answers
    // EINVAL, and dropping what it made then detaches it.
    FdLink::try_from(link).map_err(|_: LinkError| {
        ProgramError::SyscallError(SyscallError {
            call: "bpf_link_create",
            io_error: std::io::Error::from_raw_os_error(libc::EINVAL),
        })
    })
}

fn why_native_is_refused(program: &Xdp, interface: &Interface) -> Option<String> {
    let fd = program.fd().ok()?;
    netlink::why_native_is_refused(interface.index, fd.as_fd().as_raw_fd())
}

/// What helps against a refusal, by the words that drivers use in theirs.
fn hint(why: &str) -> &'static str {
    let why = why.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if any(&["mtu", "too large", "frame size"]) {
        "lower the MTU with `ip link set dev IF mtu N`"
    } else if any(&["lro", "gro_hw", "gro", "rsc"]) {
        "switch the offload off with `ethtool -K IF lro off` or `rx-gro-hw off`"
    } else if any(&["queue", "channel"]) {
        "change the number of queues with `ethtool -L IF`"
    } else {
        "this driver or its present settings have no native XDP"
    }
}

/// By a tcx link if the kernel has them (6.6), else by a filter of clsact, which no link owns.
fn attach_egress(
    ebpf: &mut Ebpf,
    interface: &Interface,
) -> Result<(Option<FdLink>, Egress), AttachError> {
    let refused = |error: &dyn std::error::Error| AttachError::EgressRefused {
        interface: interface.name.clone(),
        why: chain(error),
    };
    let program = egress(ebpf).map_err(|source| AttachError::Load {
        program: EGRESS_PROGRAM,
        source,
    })?;
    match attach_tcx(program, interface) {
        Ok(link) => Ok((Some(link), Egress::Tcx)),
        Err(error) if is_unsupported(&error) => {
            attach_clsact(program, interface).map_err(|error| refused(&error))?;
            Ok((None, Egress::Clsact))
        }
        Err(error) => Err(refused(&error)),
    }
}

/// First in the chain: what another program stops or changes behind us was still sent by this host,
/// but what we never saw we cannot follow.
fn attach_tcx(
    program: &mut SchedClassifier,
    interface: &Interface,
) -> Result<FdLink, ProgramError> {
    let id = program.attach_with_options(
        &interface.name,
        TcAttachType::Egress,
        TcAttachOptions::TcxOrder(LinkOrder::first()),
    )?;
    let link = program.take_link(id)?;
    FdLink::try_from(link).map_err(|_: LinkError| ProgramError::NotAttached)
}

/// Whether the kernel knows no tcx links: then it finds the attach type invalid.
fn is_unsupported(error: &ProgramError) -> bool {
    matches!(
        error,
        ProgramError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::EINVAL)
    )
}

fn attach_clsact(program: &mut SchedClassifier, interface: &Interface) -> Result<(), ProgramError> {
    // It is there already if anybody else uses it, and stays for them.
    let _ = tc::qdisc_add_clsact(&interface.name);
    // What a guard left behind that was killed.
    let _ = tc::qdisc_detach_program(&interface.name, TcAttachType::Egress, EGRESS_PROGRAM);
    let options = TcAttachOptions::Netlink(tc::NlOptions::default());
    program.attach_with_options(&interface.name, TcAttachType::Egress, options)?;
    Ok(())
}
