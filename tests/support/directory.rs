//! A directory of bindings in memory.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use wardgate::auth::{Binding, Directory, DirectoryFuture, DirectoryUnavailable};
use wardgate::base::{Generation, TenantId};

/// Bindings by issuer and claim value; can be switched off.
#[derive(Default)]
pub struct Bindings {
    map: Mutex<HashMap<(String, String), Binding>>,
    down: AtomicBool,
}

impl Bindings {
    /// Binds a value to a new active tenant through these OAuth clients.
    pub fn bind(&self, issuer: &str, value: &str, azp: &[&str]) -> TenantId {
        let binding = Binding {
            tenant: TenantId::random(),
            azp: azp.iter().map(ToString::to_string).collect(),
            active: true,
            not_before: None,
            generation: Generation(1),
        };
        let tenant = binding.tenant;
        self.map.lock().unwrap().insert((issuer.to_owned(), value.to_owned()), binding);
        tenant
    }

    /// Changes a binding and its generation.
    pub fn change(&self, issuer: &str, value: &str, how: impl FnOnce(&mut Binding)) {
        let mut map = self.map.lock().unwrap();
        let binding = map.get_mut(&(issuer.to_owned(), value.to_owned())).unwrap();
        binding.generation.0 += 1;
        how(binding);
    }

    /// Whether the directory cannot answer.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

impl Directory for Bindings {
    fn binding<'a>(&'a self, issuer: &'a str, claim_value: &'a str) -> DirectoryFuture<'a> {
        Box::pin(async move {
            if self.down.load(Ordering::SeqCst) {
                return Err(DirectoryUnavailable);
            }
            let map = self.map.lock().unwrap();
            Ok(map.get(&(issuer.to_owned(), claim_value.to_owned())).cloned())
        })
    }
}
