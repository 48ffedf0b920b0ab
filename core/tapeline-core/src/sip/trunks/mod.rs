//! Our side of a carrier: the registration that we keep up with it ([`register`]), and the OPTIONS that
//! tell which of its targets live ([`watch`]). One task each, under the name of its trunk; what they
//! decide is in [`pace`] and [`health`], which know neither clock nor socket.

mod exchange;
mod health;
mod pace;
mod register;
mod watch;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio_util::sync::CancellationToken;

use crate::boundary::counters::Counters;
use crate::boundary::trunk::{Registration, Watch};
use crate::sip::guard::guarded;
use crate::sip::stack::{Stack, spawn};

/// How a task of a trunk is told to end.
#[derive(Clone, Default)]
struct End {
    now: CancellationToken,
    /// Another of the same trunk goes on in its place: no good-bye, no report.
    is_replaced: Rc<std::cell::Cell<bool>>,
}

/// The tasks by trunk.
#[derive(Default)]
pub(crate) struct Trunks {
    registrations: RefCell<HashMap<String, End>>,
    watches: RefCell<HashMap<String, End>>,
}

impl Trunks {
    /// In the place of an earlier one of this trunk.
    pub fn register(&self, stack: &Rc<Stack>, registration: Registration) {
        let end = begun(&self.registrations, &registration.trunk);
        keep(stack, register::keep_up(stack.clone(), registration, end));
    }

    /// False when there is none.
    pub fn unregister(&self, trunk: &str) -> bool {
        let running = self.registrations.borrow_mut().remove(trunk);
        running.as_ref().inspect(|end| end.now.cancel()).is_some()
    }

    /// In the place of an earlier one of this trunk; without targets there is none.
    pub fn watch(&self, stack: &Rc<Stack>, watch: Watch) {
        let Watch { trunk, targets, every } = watch;
        let end = begun(&self.watches, &trunk);
        if targets.is_empty() {
            self.watches.borrow_mut().remove(&trunk);
        }
        for (uri, destination) in targets {
            let target = watch::Target { trunk: trunk.clone(), uri, destination, every };
            keep(stack, watch::keep_asking(stack.clone(), target, end.clone()));
        }
    }

    /// The thread stops: registrations are taken back.
    pub fn stop(&self) {
        let registrations = std::mem::take(&mut *self.registrations.borrow_mut());
        let watches = std::mem::take(&mut *self.watches.borrow_mut());
        registrations.into_values().chain(watches.into_values()).for_each(|end| end.now.cancel());
    }
}

fn begun(table: &RefCell<HashMap<String, End>>, trunk: &str) -> End {
    let end = End::default();
    let earlier = table.borrow_mut().insert(trunk.to_owned(), end.clone());
    if let Some(earlier) = earlier {
        earlier.is_replaced.set(true);
        earlier.now.cancel();
    }
    end
}

fn keep(stack: &Rc<Stack>, work: impl Future<Output = ()> + 'static) {
    let stack = stack.clone();
    spawn(async move {
        if guarded(work).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a panic ended the task of a trunk");
        }
    });
}
