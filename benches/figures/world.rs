//! Addresses.

use std::net::SocketAddr;

/// The socket behind a base URL.
pub fn address(base: &str) -> SocketAddr {
    let rest = base.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}
