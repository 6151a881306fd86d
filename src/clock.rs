//! The only clock and the only source of ids.

use std::time::Duration;

use cutover_events::{BootId, Stamp};
use ulid::Ulid;

/// Wall clock, monotonic clock and ids.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: BootId,
}

impl Clock {
    /// Reads the boot id of the host; a host without one counts as booted at each start.
    #[must_use]
    pub fn system() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut boot = [0; 16];
        if hex::decode_to_slice(text.trim().replace('-', ""), &mut boot).is_err() {
            boot = random_ulid().to_bytes();
        }
        Self { boot: BootId(boot) }
    }

    /// A clock that belongs to another boot: for tests of a host's restart.
    #[must_use]
    pub fn with_boot(boot: BootId) -> Self {
        Self { boot }
    }

    /// Wall and monotonic time now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { wall_ms: wall_ms(), boot: self.boot, mono_ms: self.mono_ms() }
    }

    /// `CLOCK_MONOTONIC`, ms.
    #[must_use]
    pub fn mono_ms(&self) -> u64 {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        u64::try_from(t.tv_sec).unwrap_or(0) * 1000 + u64::try_from(t.tv_nsec).unwrap_or(0) / 1_000_000
    }

    /// The boot of the host.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// A new id; take a newtype's `from_ulid`.
    #[must_use]
    pub fn ulid(&self) -> Ulid {
        random_ulid()
    }

    /// `N` random bytes from the kernel, for secrets and tokens.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn secret<const N: usize>(&self) -> std::io::Result<[u8; N]> {
        use std::io::Read;
        let mut bytes = [0; N];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Milliseconds since 1970.
fn wall_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let since = Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0));
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place where ids are made")]
fn random_ulid() -> Ulid {
    Ulid::new()
}
