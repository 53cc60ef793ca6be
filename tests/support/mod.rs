//! A whole gateway for tests: the compiled program as a process of its own, an issuer beside it, and
//! typed callers of both listeners. Everything ends when the values are dropped.

mod caller;
pub mod gateway;
pub mod hospital;
pub mod issuer;

pub use caller::Reply;
pub use gateway::{Gateway, Options};
pub use hospital::{mapping, sqlite_hospital};
pub use issuer::{OPERATOR, TestIssuer};
