//! Tests against real servers: PostgreSQL, PgBouncer, MariaDB, MySQL and Keycloak on loopback.
//!
//! `tests/run servers` starts the servers and runs this binary. By hand:
//! `tests/servers.sh up postgres pgbouncer mariadb keycloak && eval "$(tests/servers.sh env)" && cargo test --test servers`.
//!
//! One module per topic. Each is marked `#[cfg(test)]`, which is always true here and tells the lints
//! that helper functions are test code as well.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod addresses;
#[cfg(test)]
#[path = "../support/directory.rs"]
mod bindings;
#[cfg(test)]
mod commit;
#[cfg(test)]
mod control_bed;
#[cfg(test)]
mod dial;
#[cfg(test)]
mod encodings;
#[cfg(test)]
mod fault_proxy;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod fleet_migration;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod heirs;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod isolation_model;
#[cfg(test)]
mod keycloak_gateway;
#[cfg(test)]
mod keycloak_tokens;
#[cfg(test)]
mod lane_bed;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod one_row;
#[cfg(test)]
mod open_end;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod provisioned;
#[cfg(test)]
mod provisioning;
#[cfg(test)]
mod real_mysql;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod registry_away;
#[cfg(test)]
mod rollout;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod runbooks;
#[cfg(test)]
mod sealed_record;
#[cfg(test)]
mod search_everywhere;
#[cfg(test)]
#[path = "../search_model/mod.rs"]
mod search_model;
#[cfg(test)]
mod searches;
#[cfg(test)]
mod shadow;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod standby;
#[cfg(test)]
mod stoppable;
#[cfg(test)]
mod store;
#[cfg(test)]
mod store_bed;
#[cfg(test)]
mod store_lease;
#[cfg(test)]
mod store_names;
mod store_search;
#[cfg(test)]
mod store_types;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod surroundings;
#[cfg(test)]
mod tenant_faults;
#[cfg(test)]
mod together;
#[cfg(test)]
mod trials;
#[cfg(test)]
mod two_gateways;
#[cfg(test)]
#[expect(dead_code, reason = "what is tried here needs little of a visitor")]
#[path = "../panel/visitor.rs"]
mod visitor;
#[cfg(test)]
mod words;
#[cfg(test)]
mod write_bed;
#[cfg(test)]
mod writing;
