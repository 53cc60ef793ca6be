use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use tokio::sync::OnceCell;
use tokio::time::timeout_at;

use super::{DialClass, DialFault};
use crate::base::Deadline;

/// More addresses than this for one name are refused: no database has them.
const MAX_ADDRESSES: usize = 16;

/// Host names to addresses, without the operating system's resolver: that one blocks a thread per
/// look-up and cannot be cancelled, so a dead name server would take every tenant down.
#[derive(Clone)]
pub struct Resolver {
    source: Arc<Source>,
}

enum Source {
    System(Box<OnceCell<TokioResolver>>),
    Fixed(Mutex<HashMap<String, Vec<IpAddr>>>),
}

impl Resolver {
    /// Asks the name servers and the hosts file of the system's configuration, read at first use.
    pub fn system() -> Self {
        Self { source: Arc::new(Source::System(Box::default())) }
    }

    /// Knows exactly these names.
    pub fn fixed(names: HashMap<String, Vec<IpAddr>>) -> Self {
        Self { source: Arc::new(Source::Fixed(Mutex::new(names))) }
    }

    /// From now on a name leads elsewhere. Only one that knows its names by heart can be told.
    pub fn lead(&self, host: &str, addresses: Vec<IpAddr>) {
        if let Source::Fixed(names) = &*self.source {
            names.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), addresses);
        }
    }

    /// Every address of `host`. Numeric addresses stand for themselves; `localhost` is 127.0.0.1
    /// whatever a name server says (RFC 6761 section 6.3). Names are looked up as they are, never
    /// below a search domain.
    pub async fn resolve(&self, host: &str, deadline: Deadline) -> Result<Vec<IpAddr>, DialFault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if host == "localhost" {
            return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
        let mut addresses = match &*self.source {
            Source::Fixed(names) => {
                let names = names.lock().unwrap_or_else(PoisonError::into_inner);
                names.get(host).cloned().unwrap_or_default()
            }
            Source::System(cell) => timeout_at(deadline.at(), look_up(cell, host))
                .await
                .map_err(|_| DialFault::new(DialClass::Resolve, "name servers did not answer"))??,
        };
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
            return Err(no_address());
        }
        Ok(addresses)
    }
}

const fn no_address() -> DialFault {
    DialFault::new(DialClass::Resolve, "the host name has no usable address")
}

async fn look_up(cell: &OnceCell<TokioResolver>, host: &str) -> Result<Vec<IpAddr>, DialFault> {
    let resolver = cell.get_or_try_init(|| async { build() }).await?;
    let found = resolver.lookup_ip(format!("{host}.")).await.map_err(|fault| {
        if fault.is_no_records_found() {
            no_address()
        } else {
            DialFault::new(DialClass::Resolve, "the name servers could not be asked")
        }
    })?;
    Ok(found.iter().collect())
}

fn build() -> Result<TokioResolver, DialFault> {
    let failed = |_| DialFault::internal("the system's name server settings cannot be read");
    let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(1);
    options.attempts = 2;
    options.cache_size = 1024;
    options.positive_max_ttl = Some(Duration::from_secs(30));
    options.negative_max_ttl = Some(Duration::from_secs(5));
    options.ip_strategy = hickory_resolver::config::LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_and_localhost_are_never_looked_up() {
        let resolver = Resolver::fixed(HashMap::from([(
            "localhost".to_owned(),
            vec![IpAddr::from([8, 8, 8, 8])],
        )]));
        let at = Deadline::after(Duration::from_secs(1));
        let loopback = vec![IpAddr::from([127, 0, 0, 1])];
        assert_eq!(resolver.resolve("localhost", at).await, Ok(loopback.clone()));
        assert_eq!(resolver.resolve("127.0.0.1", at).await, Ok(loopback));
        let fault = resolver.resolve("nowhere.example", at).await.unwrap_err();
        assert_eq!(fault.class(), DialClass::Resolve);
    }
}
