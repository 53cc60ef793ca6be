use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{DialClass, DialFault};
use crate::base::canonical_host;

/// Where connections to tenants' databases may go. Without rules, nowhere.
///
/// An address rule allows a network: `10.20.0.0/16:5432`, `10.20.0.5:5432`, `[fd00::]/8:5432`. A name
/// rule allows exactly that host name: `db.st-mary.example:3306`. The port may be `*`.
///
/// Some addresses are denied even so: loopback, link-local and cloud metadata addresses, multicast,
/// unspecified, reserved and broadcast, and their IPv4-in-IPv6 forms (mapped, compatible, NAT64, 6to4,
/// Teredo). Of these, loopback and the like are allowed only by an address rule that lies wholly inside
/// the denied network (`127.0.0.1/32:5432`), so that `0.0.0.0/0` never does; an IPv4-in-IPv6 form only
/// by a rule for that one address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressRules {
    rules: Vec<Rule>,
}

/// A text that is not an egress rule. Rules come from the operator's own settings, so the position
/// (counted from 0) is enough to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("egress rule {position}: {why}")]
pub struct EgressFault {
    /// Which rule.
    pub position: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    target: Target,
    /// `None` is every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Network(Network),
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u8,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Network {
    Network { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(s: [u16; 8], prefix: u8) -> Network {
    let base = Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
    Network { base: IpAddr::V6(base), prefix }
}

/// Denied unless a rule lies inside the same entry. IANA special-purpose registries (RFC 6890) and the
/// metadata addresses of the large clouds.
const DENIED: &[Network] = &[
    v4(0, 0, 0, 0, 8),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32),
    v4(168, 63, 129, 16, 32),
    v4(192, 0, 0, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254], 128),
    v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128),
];

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(a)) => {
                let shift = 32 - u32::from(self.prefix);
                u64::from(base.to_bits()) >> shift == u64::from(a.to_bits()) >> shift
            }
            (IpAddr::V6(base), IpAddr::V6(a)) => {
                let shift = 128 - u32::from(self.prefix);
                base.to_bits().checked_shr(shift) == a.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }

    fn lies_in(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.base)
    }

    const fn is_one_address(&self) -> bool {
        match self.base {
            IpAddr::V4(_) => self.prefix == 32,
            IpAddr::V6(_) => self.prefix == 128,
        }
    }
}

/// The IPv4 addresses an IPv6 address stands for in some translation scheme.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = address.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let low = pair(s[6], s[7]);
    match s {
        // RFC 4291 section 2.5.5: compatible (deprecated) and mapped; RFC 2765: translated; RFC 6052: the
        // well-known NAT64 prefix; RFC 5214: ISATAP.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => vec![low],
        // RFC 8215: the local NAT64 prefix; where the IPv4 bits lie depends on the prefix in use.
        [0x64, 0xff9b, 1, ..] => {
            let mid = Ipv4Addr::from_bits(
                u32::from(s[3]) << 16 | u32::from(s[4] & 0xff) << 8 | u32::from(s[5] >> 8),
            );
            let wide = Ipv4Addr::from_bits(
                u32::from(s[4] & 0xff) << 24 | u32::from(s[5]) << 8 | u32::from(s[6] >> 8),
            );
            vec![low, mid, wide]
        }
        // RFC 3056: 6to4.
        [0x2002, ..] => vec![pair(s[1], s[2])],
        // RFC 4380: Teredo, with the server's address and the client's in inverted bits.
        [0x2001, 0, ..] => vec![pair(s[2], s[3]), pair(!s[6], !s[7])],
        _ => Vec::new(),
    }
}

fn denied_network(address: IpAddr) -> Option<&'static Network> {
    DENIED.iter().find(|network| network.contains(address))
}

impl EgressRules {
    /// Reads the rules; see the type for their syntax.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, EgressFault> {
        let rules = texts.iter().enumerate().map(|(position, text)| {
            parse_rule(text.as_ref()).map_err(|why| EgressFault { position, why })
        });
        rules.collect::<Result<_, _>>().map(|rules| Self { rules })
    }

    /// Whether `host` on `port`, which resolved to `addresses`, may be dialled: every one of the
    /// addresses must be allowed, because any of them might be.
    pub fn check(&self, host: &str, port: u16, addresses: &[IpAddr]) -> Result<(), DialFault> {
        if addresses.is_empty() {
            return Err(DialFault::new(DialClass::Resolve, "the host name has no address"));
        }
        if addresses.iter().all(|&address| self.allows(host, port, address)) {
            return Ok(());
        }
        Err(DialFault::new(DialClass::Egress, "an address of the host is not allowed"))
    }

    fn allows(&self, host: &str, port: u16, address: IpAddr) -> bool {
        let at_port = || self.rules.iter().filter(|rule| rule.port.is_none_or(|p| p == port));
        let networks = at_port().filter_map(|rule| match &rule.target {
            Target::Network(network) if network.contains(address) => Some(network),
            _ => None,
        });
        if let Some(denied) = denied_network(address) {
            return networks.into_iter().any(|network| network.lies_in(denied));
        }
        if let IpAddr::V6(v6) = address
            && embedded(v6).into_iter().any(|v4| denied_network(IpAddr::V4(v4)).is_some())
        {
            return networks.into_iter().any(Network::is_one_address);
        }
        networks.into_iter().next().is_some()
            || at_port().any(|rule| matches!(&rule.target, Target::Name(name) if name == host))
    }
}

fn parse_rule(text: &str) -> Result<Rule, &'static str> {
    let (target, port) = text.rsplit_once(':').ok_or("end with a port, as in :5432 or :*")?;
    let port = match port {
        "*" => None,
        p if !p.starts_with('0') && p.bytes().all(|b| b.is_ascii_digit()) => {
            Some(p.parse().map_err(|_| "the port is not a number from 1 to 65535")?)
        }
        _ => return Err("the port is not a number from 1 to 65535"),
    };
    let target = if let Some(rest) = target.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or("a [ needs its ]")?;
        let base: Ipv6Addr = inside.parse().map_err(|_| "not an IPv6 address in the []")?;
        Target::Network(network(IpAddr::V6(base), after)?)
    } else {
        let (host, length) = target.find('/').map_or((target, ""), |slash| target.split_at(slash));
        if let Ok(base) = host.parse::<Ipv4Addr>() {
            Target::Network(network(IpAddr::V4(base), length)?)
        } else if length.is_empty() {
            Target::Name(canonical_host(host).map_err(|_| "not a host name or address")?)
        } else {
            return Err("not a network of four decimal numbers, or of IPv6 in []");
        }
    };
    if matches!(&target, Target::Name(name) if name.contains(':')) {
        return Err("write an IPv6 address in []");
    }
    Ok(Rule { target, port })
}

fn network(base: IpAddr, length: &str) -> Result<Network, &'static str> {
    let bits = if base.is_ipv4() { 32 } else { 128 };
    let prefix = match length.strip_prefix('/') {
        None if length.is_empty() => bits,
        Some(n) if !n.is_empty() && n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit()) => {
            n.parse().map_err(|_| "the prefix length is too large")?
        }
        _ => return Err("the prefix length is not a number"),
    };
    if prefix > bits {
        return Err("the prefix length is too large");
    }
    let host_bits = match base {
        IpAddr::V4(a) => u128::from(a.to_bits()).checked_shl(96 + u32::from(prefix)),
        IpAddr::V6(a) => a.to_bits().checked_shl(u32::from(prefix)),
    };
    if host_bits.is_some_and(|bits| bits != 0) {
        return Err("the address has bits beyond the prefix length");
    }
    Ok(Network { base, prefix })
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
