//! Lanes and leases over SQLite in memory.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use sqlx::Executor as _;

use super::dial::DialClass;
use super::fakes::{Bench, Mood, endless, identity, one, quick, soon};
use super::*;
use crate::base::{Fault as _, FaultKind};

mod cut_short;
mod lanes;
mod refused;
mod resealed;
mod selfcheck;
mod silence;
