//! The panel in a real browser: Chromium, against the demo's issuer and against a real Keycloak.

#[cfg(test)]
mod awkward;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod first_day;
#[cfg(test)]
mod keycloak;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod many;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod real_database;
#[cfg(test)]
#[expect(dead_code, reason = "a browser needs little of what other tests share")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tending;
#[cfg(test)]
mod visits;
#[cfg(test)]
mod walk;
