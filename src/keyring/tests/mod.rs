mod keyfile;
mod ring;
mod rotation;
mod sealed;
mod support;
mod vectors;
mod wycheproof;
