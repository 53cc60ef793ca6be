mod disk;
mod kill;
mod log;
mod retain;
mod support;
mod tamper;
mod torn;
