//! Large tables on huge pages.

const HUGE_PAGE: usize = 2 << 20;

/// Asks the kernel to move a table onto huge pages, so that random reads do not miss the TLB each time. For tables
/// that are complete, or at least written once, since pages that were never touched do not move; nothing to do for
/// those below 2 MiB.
///
/// Only asks: where the kernel has no transparent huge pages, is older than 6.1, or has none to spare, all stays as
/// it is. It copies the table, which takes milliseconds: not for workers.
pub fn prefer_huge_pages<T>(table: &[T]) {
    let all = table.as_ptr_range();
    let start = (all.start as usize).next_multiple_of(HUGE_PAGE);
    let Some(len) = (all.end as usize & !(HUGE_PAGE - 1)).checked_sub(start) else { return };
    if len == 0 {
        return;
    }
    for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
        // SAFETY: both change what kind of pages the bytes are on, not the bytes, and all of these are the table's.
        // A refusal changes nothing.
        let _advised = unsafe { libc::madvise(start as *mut libc::c_void, len, advice) };
    }
}

#[cfg(test)]
mod tests {
    use super::prefer_huge_pages;

    #[test]
    fn what_is_in_a_table_stays() {
        for len in [0, 1, 100_000, 2_000_000] {
            let table: Vec<u64> = (0..len).collect();
            prefer_huge_pages(&table);
            prefer_huge_pages(&table[table.len() / 3..]);
            assert!((0..len).eq(table.iter().copied()));
        }
    }
}
