# The shorter ways; scripts/test is the whole.

# What there is
default:
    @just --list

# Everything that has to pass
test:
    scripts/test

# Compiles, without building
check:
    cargo check --workspace --all-targets

# Style: format, lints, layers, licences
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --test tidy

# Tests of the pure crates: seconds
pure:
    cargo test -p cutover-events -p cutover-domain
    cargo test --test golden

# Writes golden bytes that are missing; those that exist stay
golden:
    CUTOVER_BLESS=missing cargo test --test golden

# Writes config.example.toml again from the table of keys
config:
    CUTOVER_BLESS=1 cargo test --lib the_example_is_the_default
