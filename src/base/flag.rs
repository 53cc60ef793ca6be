use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::TenantId;

/// Something of the FHIR API that can be switched off for a tenant, or on for a share of its users. The list
/// is closed: each is really switched, and by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Creating, changing, patching and deleting, also in bundles.
    Write,
    /// `$export` and the files it orders.
    Export,
    /// `Patient/[id]/$everything`.
    Everything,
    /// `_include` and `_revinclude`.
    Include,
    /// Chained parameters and `_has`.
    Chain,
}

impl Flag {
    /// All of them, in the order they are shown in.
    pub const ALL: [Self; 5] =
        [Self::Write, Self::Export, Self::Everything, Self::Include, Self::Chain];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "fhir.write",
            Self::Export => "fhir.export",
            Self::Everything => "fhir.everything",
            Self::Include => "fhir.include",
            Self::Chain => "search.chain",
        }
    }

    /// What it switches, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Write => "Writing",
            Self::Export => "Bulk export",
            Self::Everything => "$everything",
            Self::Include => "_include and _revinclude",
            Self::Chain => "Chained search and _has",
        }
    }
}

impl FromStr for Flag {
    type Err = InvalidFlag;

    fn from_str(text: &str) -> Result<Self, InvalidFlag> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == text).ok_or(InvalidFlag)
    }
}

/// A text is no flag, or not how one can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a flag is fhir.write, fhir.export, fhir.everything, fhir.include or search.chain, and is on, off or a \
     share of the users such as 25%"
)]
pub struct InvalidFlag;

/// To whom something is offered, in per cent of a tenant's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer(u8);

impl Offer {
    /// To everybody. The default.
    pub const ON: Self = Self(100);
    /// To nobody.
    pub const OFF: Self = Self(0);

    /// To so many per cent of the users; `None` above 100.
    pub const fn share(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// In per cent.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ON => f.write_str("on"),
            Self::OFF => f.write_str("off"),
            Self(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Offer {
    type Err = InvalidFlag;

    /// Accepts `on`, `off` and `0%` to `100%`.
    fn from_str(text: &str) -> Result<Self, InvalidFlag> {
        match text {
            "on" => Ok(Self::ON),
            "off" => Ok(Self::OFF),
            share => {
                let digits = share.strip_suffix('%').filter(|d| (1..=3).contains(&d.len()));
                let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
                let percent = digits.and_then(|d| d.parse().ok()).and_then(Self::share);
                percent.ok_or(InvalidFlag)
            }
        }
    }
}

/// How a tenant's flags stand. What is not named is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags([Offer; Flag::ALL.len()]);

impl Default for Flags {
    fn default() -> Self {
        Self([Offer::ON; Flag::ALL.len()])
    }
}

impl Flags {
    /// Reads names and how they stand, as they are stored and sent.
    pub fn parse(named: &BTreeMap<String, String>) -> Result<Self, InvalidFlag> {
        let mut flags = Self::default();
        for (name, offer) in named {
            flags.set(name.parse()?, offer.parse()?);
        }
        Ok(flags)
    }

    /// Names and how they stand; all of them, or only those that are not on.
    pub fn named(&self, all: bool) -> BTreeMap<String, String> {
        let named = Flag::ALL.into_iter().map(|flag| (flag, self.get(flag)));
        let named = named.filter(|(_, offer)| all || *offer != Offer::ON);
        named.map(|(flag, offer)| (flag.as_str().to_owned(), offer.to_string())).collect()
    }

    /// How one stands.
    pub fn get(&self, flag: Flag) -> Offer {
        self.0.get(flag as usize).copied().unwrap_or(Offer::OFF)
    }

    /// Switches one.
    pub fn set(&mut self, flag: Flag, offer: Offer) {
        if let Some(place) = self.0.get_mut(flag as usize) {
            *place = offer;
        }
    }

    /// Whether it is offered to that user: the same answer on every gateway and in every version, and a
    /// larger share holds every user of a smaller one.
    pub fn offers(&self, flag: Flag, tenant: TenantId, issuer: &str, subject: &str) -> bool {
        match self.get(flag) {
            Offer::ON => true,
            Offer::OFF => false,
            Offer(percent) => {
                let tenant = tenant.to_string();
                hash(&[flag.as_str(), &tenant, issuer, subject]) % 100 < u64::from(percent)
            }
        }
    }
}

/// FNV-1a of 64 bits over the parts, each with its length before it, with the finalizer of `MurmurHash3`,
/// because the low digits of FNV alone are not even. Not a secret: users do not choose their subjects.
fn hash(parts: &[&str]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        let length = (part.len() as u64).to_be_bytes();
        for byte in length.into_iter().chain(part.bytes()) {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sum = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    sum = (sum ^ (sum >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    sum ^ (sum >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://sso.example.org/realms/hospitals";

    fn with(offer: &str) -> Flags {
        Flags::parse(&BTreeMap::from([("fhir.export".to_owned(), offer.to_owned())])).unwrap()
    }

    fn users(flags: Flags, tenant: TenantId) -> Vec<usize> {
        let offered = |n: &usize| flags.offers(Flag::Export, tenant, ISSUER, &format!("user-{n}"));
        (0..10_000).filter(offered).collect()
    }

    #[test]
    fn flags_are_a_closed_list_and_say_how_they_stand() {
        for (place, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!((flag as usize, flag.as_str().parse()), (place, Ok(flag)));
        }
        for bad in ["", "fhir", "FHIR.WRITE", "fhir.write "] {
            assert!(bad.parse::<Flag>().is_err(), "{bad}");
        }
        for (text, percent) in [("on", 100), ("off", 0), ("0%", 0), ("7%", 7), ("100%", 100)] {
            assert_eq!(text.parse::<Offer>().unwrap().percent(), percent, "{text}");
        }
        for bad in ["", "%", "25", "101%", "-1%", "+1%", "1.5%", "ON", "0025%", "256%"] {
            assert!(bad.parse::<Offer>().is_err(), "{bad}");
        }
        let flags = with("25%");
        assert_eq!(Flags::parse(&flags.named(true)), Ok(flags));
        assert_eq!(flags.named(false).len(), 1);
        assert_eq!(flags.named(true).len(), Flag::ALL.len());
    }

    #[test]
    fn a_share_is_a_share_and_grows_without_changing_its_users() {
        let tenant = TenantId::random();
        let mut before = Vec::new();
        for percent in [0, 1, 10, 25, 50, 90, 100] {
            let users = users(with(&format!("{percent}%")), tenant);
            assert!(users.len().abs_diff(percent * 100) < 200, "{percent}%: {}", users.len());
            assert!(before.iter().all(|user| users.contains(user)), "{percent}%");
            before = users;
        }
        assert_ne!(users(with("50%"), tenant), users(with("50%"), TenantId::random()));
    }

    /// Another value would give users another answer after an upgrade.
    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(hash(&["fhir.export", "a", "b", "c"]) % 100, 10);
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
