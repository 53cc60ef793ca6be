mod disk;
mod log;
mod retain;
mod support;
mod tamper;
mod torn;
