//! From a permit to the tenant's open resources.

mod cache;
