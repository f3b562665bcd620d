use super::*;

#[test]
fn cargo_is_started_without_what_is_said_of_the_running_package() {
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "OUT_DIR"] {
        assert!(is_of_the_running_package(name), "{name}");
    }
    for name in ["CARGO_HOME", "CARGO_INCREMENTAL", "CARGO_TARGET_DIR", "CARGO", "PATH"] {
        assert!(!is_of_the_running_package(name), "{name}");
    }
}
