//! The program as its users and their scripts see it: on a terminal, on pipes, with files.

mod bad_input;
mod commands;
mod json;
mod measure;
mod options;
mod original;
mod pipes;
mod session;
mod soft;
mod terminal;
mod tools;
