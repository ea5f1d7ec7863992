//! A memory for small parts: pages of one byte, a small stack, and not a byte more than the linker needs.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in ["--page-size=1", "-zstack-size=2048", "--no-growable-memory"] {
        println!("cargo::rustc-link-arg-cdylib={argument}");
    }
}
