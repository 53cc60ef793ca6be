//! The panel over HTTP, without a browser: the program as a process of its own, an issuer on loopback.

#[cfg(test)]
mod asked_again;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod late;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod several;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
#[expect(dead_code, reason = "one topic's tests need not all that others share")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod visitor;
#[cfg(test)]
mod world;
