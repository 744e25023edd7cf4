//! What `receptive --version` prints: all that a bug report needs to know about the program.

use crate::cpu::Simd;
use std::sync::LazyLock;

/// Version, commit, features and the SIMD level that this machine's loops use.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let simd = Simd::from_environment().map_or_else(|_| "unknown".to_owned(), |level| level.to_string());
        format!(
            "{} ({}; features: {}; SIMD: {simd})",
            env!("CARGO_PKG_VERSION"),
            env!("RECEPTIVE_COMMIT"),
            features().join(" ")
        )
    });
    &VERSION
}

/// The features that this program was built with.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("cli", cfg!(feature = "cli")),
        ("images", cfg!(feature = "images")),
        ("live", cfg!(feature = "live")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    all.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect()
}
