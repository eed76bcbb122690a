//! SR-IOV on trees of files.

mod apply;
mod discover;
