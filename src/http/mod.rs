//! The two HTTP listeners: router, layers, extractors, errors.

pub mod listener;
