//! SR-IOV on trees of files.

mod discover;
