//! The I/O gateway.
//!
//! It reads as its data flows: [`config`] turns TOML into a checked model, [`plan`] turns the model
//! into ports, queues, cores and tables, [`dataplane`] moves the packets, [`control`] answers
//! questions about it on a unix socket, and [`view`] prints the answers. [`vf`] is beside them: the
//! machine's virtual functions, before a gateway has them.
#![forbid(unsafe_code)]

pub mod config;
pub mod control;
pub mod dataplane;
pub mod plan;
pub mod vf;
pub mod view;
