//! Plans to SQL, cells to rows, catalogues from live databases.
//!
//! [`page_sql`] and [`child_sql`] write a plan for one engine: every value bound with its column's own
//! type, columns left bare in conditions so that indexes work, every fetched cell a text. [`run`]
//! executes over one connection; [`fetch`] over a lease.

pub mod admin;
mod among;
mod cells;
mod collation;
mod compare;
mod describe;
mod explain;
mod fault;
mod fetch;
mod first;
mod flavour;
mod fold;
mod id;
mod introspect;
mod keyset;
mod lowered;
mod member;
mod predicate;
mod prepared;
mod rule;
pub mod run;
mod sql;
mod statement;
mod text;
mod transaction;
mod value;
mod write;

#[cfg(test)]
mod expected;
#[cfg(test)]
mod tests;

pub use crate::mapping::fold::fold;
pub use crate::pool::letters::Letters;
pub use describe::{catalog_on, describe_on};
pub use explain::{
    Estimate, explain_child_on, explain_count_on, explain_page_on, folded_index_sql,
};
pub use fault::{StoreFault, WriteFault};
pub use fetch::{catalog, fetch_counts, fetch_keys, fetch_page, fetch_row, introspect};
pub use flavour::Flavour;
pub use introspect::{MAX_TABLES, introspect_on};
pub use prepared::is_plain_key;
pub use rule::{Breach, RuleKind};
pub use sql::{child_sql, count_sql, page_sql};
pub use statement::{Bind, Statement};
pub use transaction::{Apart, Ending, Failed, Halt, Transaction, transact};
pub use write::{change_sql, lock_sql};
