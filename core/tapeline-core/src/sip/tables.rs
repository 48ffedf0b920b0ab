//! Which legs, dialogs and INVITEs of ours live, each under the keys that it is looked for by.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use rsipstack::sip::{HeadersExt, Request, Response};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};

use crate::boundary::handle::LegHandle;
use crate::sip::dialog::{DialogKey, Invitation, LegRecord, Reinvite};
use crate::sip::wire::tag;

/// Call-ID, From tag, CSeq of a caller's INVITE.
type MergeKey = (String, String, u32);

/// Whose answer came.
pub(super) enum OurInvite {
    First(Rc<Invitation>),
    Again(Rc<Reinvite>),
}

#[derive(Default)]
pub(super) struct Tables {
    legs: RefCell<HashMap<LegHandle, Rc<LegRecord>>>,
    dialogs: RefCell<HashMap<DialogKey, Rc<LegRecord>>>,
    /// INVITEs of ours that may still be answered.
    invitations: RefCell<HashMap<TransactionKey, Rc<Invitation>>>,
    /// re-INVITEs of ours.
    reinvites: RefCell<HashMap<TransactionKey, Rc<Reinvite>>>,
    merge_keys: RefCell<HashSet<MergeKey>>,
    /// Live dialogs and INVITEs of ours per Call-ID.
    call_ids: RefCell<HashMap<String, u32>>,
}

impl Tables {
    pub fn insert(&self, record: Rc<LegRecord>) {
        let key = record.key.borrow().clone();
        self.count_call(&key.call_id);
        self.merge_keys.borrow_mut().extend(record.merge_key.clone());
        self.dialogs.borrow_mut().insert(key, record.clone());
        self.legs.borrow_mut().insert(record.leg, record);
    }

    /// Once per leg.
    pub fn remove(&self, record: &LegRecord) {
        let key = record.key.borrow();
        self.legs.borrow_mut().remove(&record.leg);
        self.dialogs.borrow_mut().remove(&key);
        if let Some(merge_key) = &record.merge_key {
            self.merge_keys.borrow_mut().remove(merge_key);
        }
        self.forget_call(&key.call_id);
    }

    /// A call of ours was answered by a peer of this tag.
    pub fn name_peer(&self, record: &Rc<LegRecord>, remote_tag: String) {
        let mut key = record.key.borrow_mut();
        let mut dialogs = self.dialogs.borrow_mut();
        dialogs.remove(&key);
        key.remote_tag = remote_tag;
        dialogs.insert(key.clone(), record.clone());
    }

    pub fn insert_invitation(&self, invitation: Rc<Invitation>) {
        self.count_call(&invitation.call_id);
        self.invitations.borrow_mut().insert(invitation.key.clone(), invitation);
    }

    pub fn remove_invitation(&self, invitation: &Invitation) {
        if self.invitations.borrow_mut().remove(&invitation.key).is_some() {
            self.forget_call(&invitation.call_id);
        }
    }

    pub fn insert_reinvite(&self, reinvite: Rc<Reinvite>) {
        self.reinvites.borrow_mut().insert(reinvite.key.clone(), reinvite);
    }

    pub fn remove_reinvite(&self, reinvite: &Reinvite) {
        self.reinvites.borrow_mut().remove(&reinvite.key);
    }

    pub fn leg_count(&self) -> usize {
        self.legs.borrow().len()
    }

    pub fn leg(&self, leg: LegHandle) -> Option<Rc<LegRecord>> {
        self.legs.borrow().get(&leg).cloned()
    }

    /// Copies, so that they may be removed meanwhile.
    pub fn legs(&self) -> Vec<Rc<LegRecord>> {
        self.legs.borrow().values().cloned().collect()
    }

    pub fn invitations(&self) -> Vec<Rc<Invitation>> {
        self.invitations.borrow().values().cloned().collect()
    }

    /// A call that was cancelled and that the far end has not settled.
    pub fn is_any_leaving(&self) -> bool {
        self.invitations.borrow().values().any(|invitation| invitation.is_leaving())
    }

    /// The dialog of a request whose To tag is ours.
    pub fn dialog_of(&self, request: &Request, local_tag: String) -> Option<Rc<LegRecord>> {
        let call_id = request.call_id_header().ok()?.value().to_owned();
        let remote_tag = tag(request.from_header().ok()?.value())?.to_owned();
        self.dialogs.borrow().get(&DialogKey { call_id, local_tag, remote_tag }).cloned()
    }

    /// As a `Replaces` names it.
    pub fn dialog_named(&self, key: &DialogKey) -> Option<Rc<LegRecord>> {
        self.dialogs.borrow().get(key).cloned()
    }

    /// By branch, Call-ID, From tag and CSeq.
    pub fn invite_of(&self, response: &Response) -> Option<OurInvite> {
        let key = TransactionKey::from_response(response, TransactionRole::Client).ok()?;
        if let Some(invitation) = self.invitations.borrow().get(&key) {
            return Some(OurInvite::First(invitation.clone()));
        }
        self.reinvites.borrow().get(&key).cloned().map(OurInvite::Again)
    }

    /// The same request by another way (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, key: &MergeKey) -> bool {
        self.merge_keys.borrow().contains(key)
    }

    pub fn knows_call(&self, call_id: &str) -> bool {
        self.call_ids.borrow().contains_key(call_id)
    }

    fn count_call(&self, call_id: &str) {
        *self.call_ids.borrow_mut().entry(call_id.to_owned()).or_default() += 1;
    }

    fn forget_call(&self, call_id: &str) {
        let mut call_ids = self.call_ids.borrow_mut();
        if let Some(count) = call_ids.get_mut(call_id) {
            *count -= 1;
            if *count == 0 {
                call_ids.remove(call_id);
            }
        }
    }
}
