//! What operators do to tenants. Every method takes the operator's permit, writes the operators' log in the
//! same transaction as the change, and makes the change known to this gateway before it returns.

mod view;

pub use view::{
    CheckReport, CheckStep, ConnectionView, EventView, IdentityView, LimitsView, MappingPointer,
    MappingProblemView, MappingReport, MappingView, TenantView,
};
