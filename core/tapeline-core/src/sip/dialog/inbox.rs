//! What waits for a leg's task. Whatever ends the task, a panic too, every command is answered.

use std::collections::VecDeque;
use std::rc::Rc;

use rsipstack::sip::StatusCode;
use tokio::sync::mpsc;

use crate::boundary::command::{CommandId, RoomCommand, SipCommand};
use crate::media::command::MediaCommand;
use crate::sip::dialog::leg::Input;
use crate::sip::dialog::response::refuse;
use crate::sip::stack::{Stack, spawn};

/// Commands and requests that wait for one leg; beyond it they are refused.
const LIMIT: usize = 64;

pub(super) struct Inbox {
    stack: Rc<Stack>,
    inputs: mpsc::Receiver<Input>,
    /// Taken out, not answered yet.
    open: Option<CommandId>,
    /// For the media thread, as soon as it has the leg.
    kept: Option<(CommandId, RoomCommand)>,
    /// Until a provisional response is acknowledged.
    deferred: VecDeque<(CommandId, SipCommand)>,
}

impl Inbox {
    pub fn new(stack: Rc<Stack>) -> (mpsc::Sender<Input>, Self) {
        let (mailbox, inputs) = mpsc::channel(LIMIT);
        (mailbox, Self { stack, inputs, open: None, kept: None, deferred: VecDeque::new() })
    }

    /// The command that made the leg. Should it be open when the next input is taken, it is done: its
    /// INVITE waits for an address.
    pub fn open_with(&mut self, command: CommandId) {
        self.open = Some(command);
    }

    /// The next input; a command is open from here until it is answered. May be dropped while it waits.
    pub async fn receive(&mut self) -> Option<Input> {
        let input = self.inputs.recv().await?;
        self.done();
        if let Input::Command(id, _) = &input {
            self.open = Some(*id);
        }
        Some(input)
    }

    /// Answers the open command.
    pub fn done(&mut self) {
        if let Some(command) = self.open.take() {
            self.stack.done(command);
        }
    }

    /// The open command stays so until the media thread has done `action`.
    pub fn keep_for_media(&mut self, action: RoomCommand) {
        self.kept = self.open.take().map(|command| (command, action));
    }

    /// The open command stays so until `resume` gives it back.
    pub fn defer(&mut self, command: SipCommand) {
        if self.deferred.len() >= LIMIT {
            return self.failed("the leg is busy");
        }
        self.deferred.extend(self.open.take().map(|id| (id, command)));
    }

    /// The first command that was deferred, open again.
    pub fn resume(&mut self) -> Option<SipCommand> {
        let (id, command) = self.deferred.pop_front()?;
        self.done();
        self.open = Some(id);
        Some(command)
    }

    /// The media thread has the leg: it does, and answers, what was kept for it.
    pub fn hand_to_media(&mut self) {
        if let Some((command, action)) = self.kept.take()
            && self.stack.media.send(MediaCommand::Room { command, action }).is_err()
        {
            self.stack.failed(command, "the media thread takes no commands".into());
        }
    }

    /// Answers the open command.
    pub fn failed(&mut self, reason: impl Into<String>) {
        if let Some(command) = self.open.take() {
            self.stack.failed(command, reason.into());
        }
    }

    /// Takes nothing more and turns away what came too late.
    pub fn close(&mut self) {
        for incoming in self.close_to_commands() {
            if let Input::Request(incoming) = incoming {
                let status = StatusCode::CallTransactionDoesNotExist;
                spawn(refuse(incoming.transaction, status, vec![]));
            }
        }
    }

    fn close_to_commands(&mut self) -> Vec<Input> {
        self.inputs.close();
        if let Some((command, _)) = self.kept.take() {
            self.stack.failed(command, "the leg has ended".into());
        }
        for (command, _) in std::mem::take(&mut self.deferred) {
            self.stack.failed(command, "the leg has ended".into());
        }
        let mut others = Vec::new();
        while let Ok(input) = self.inputs.try_recv() {
            match input {
                Input::Command(id, _) => self.stack.failed(id, "the leg has ended".into()),
                other => others.push(other),
            }
        }
        others
    }
}

impl Drop for Inbox {
    /// Requests go unanswered here: perhaps no task can run any more. Their peers repeat them.
    fn drop(&mut self) {
        self.failed("a fault inside the core");
        drop(self.close_to_commands());
    }
}
