//! What the types forbid: each file in `compile_fail/` must be refused, for the reason beside it.

#[test]
fn the_types_forbid_it() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
