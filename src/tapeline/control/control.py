"""The control plane's front: a command in, an outcome out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from tapeline.control import (
    accounts,
    applications,
    deliveries,
    endpoints,
    holds,
    policy,
    proof,
    recordings,
    storage,
    transcripts,
)
from tapeline.control.calls import commands as call_commands
from tapeline.control.calls import connect as call_connections
from tapeline.control.calls import pages as call_pages
from tapeline.control.conferences import commands as conference_commands
from tapeline.control.conferences import views as conference_views
from tapeline.control.live import unbroken
from tapeline.control.lookup import once_of
from tapeline.control.once import OnceKeeper
from tapeline.control.parts import Parts
from tapeline.control.playing import commands as playing_commands
from tapeline.control.playing import gather as playing_gather
from tapeline.control.playing import keys as playing_keys
from tapeline.control.trunks import commands as trunk_commands
from tapeline.domain import command as commands
from tapeline.domain.account import Account, Credentials
from tapeline.domain.command import Command

OutcomeT = TypeVar("OutcomeT")

USE_CASES: Mapping[type[Command[Any]], Callable[[Parts, Any], Awaitable[Any]]] = {
    commands.CreateAccount: accounts.create_account,
    commands.SetAccount: accounts.set_account,
    commands.GetAccount: accounts.get_account,
    commands.ListAccounts: accounts.list_accounts,
    commands.CreateApplication: applications.create_application,
    commands.UpdateApplication: applications.update_application,
    commands.GetApplication: applications.get_application,
    commands.DeleteApplication: applications.delete_application,
    commands.ListApplications: applications.list_applications,
    commands.AddNumber: applications.add_number,
    commands.ListNumbers: applications.list_numbers,
    commands.AddEndpoint: endpoints.add_endpoint,
    commands.ListEndpoints: endpoints.list_endpoints,
    commands.SetEndpointPassword: endpoints.set_endpoint_password,
    commands.RemoveEndpoint: endpoints.remove_endpoint,
    commands.AddTrunk: trunk_commands.add_trunk,
    commands.ListTrunks: trunk_commands.list_trunks,
    commands.GetTrunk: trunk_commands.get_trunk,
    commands.CheckTrunk: trunk_commands.check_trunk_state,
    commands.SetTrunkPassword: trunk_commands.set_trunk_password,
    commands.RemoveTrunk: trunk_commands.remove_trunk,
    commands.SetPolicy: policy.set_policy,
    commands.ListPolicies: policy.list_policies,
    commands.RemovePolicy: policy.remove_policy,
    commands.ListCalls: call_commands.list_calls,
    commands.PageCalls: call_pages.page_calls,
    commands.GetCall: call_commands.get_call,
    commands.CreateCall: call_commands.create_call,
    commands.AnswerCall: call_commands.answer_call,
    commands.RejectCall: call_commands.reject_call,
    commands.HangUpCall: call_commands.hang_up_call,
    commands.UpdateCall: call_commands.update_call,
    commands.BridgeCalls: call_connections.bridge_calls,
    commands.TransferToAddress: call_connections.transfer_to_address,
    commands.TransferCall: call_commands.transfer_call,
    commands.ListConferences: conference_views.list_conferences,
    commands.GetConference: conference_views.get_conference,
    commands.CreateConference: conference_commands.create_conference,
    commands.JoinCall: conference_commands.join_call,
    commands.LeaveCall: conference_commands.leave_call,
    commands.SetCallRole: conference_commands.set_call_role,
    commands.SetParticipants: conference_commands.set_participants,
    commands.RemoveParticipants: conference_commands.remove_participants,
    commands.EndConference: conference_commands.end_by_command,
    commands.EndConferences: conference_commands.end_all_by_command,
    commands.PlayToCall: playing_commands.play_to_call,
    commands.PlayToConference: playing_commands.play_to_conference,
    commands.GatherDigits: playing_gather.gather_digits,
    commands.StopGathering: playing_gather.stop_gathering,
    commands.SendDigits: playing_keys.send_digits,
    commands.SendDigitsToConference: playing_keys.send_digits_to_conference,
    commands.StopPlayingToCall: playing_commands.stop_playing_to_call,
    commands.StopPlayingToConference: playing_commands.stop_playing_to_conference,
    commands.StartConferenceRecording: recordings.start_conference_recording,
    commands.StartCallRecording: recordings.start_call_recording,
    commands.StopConferenceRecording: recordings.stop_conference_recording,
    commands.StopCallRecording: recordings.stop_call_recording,
    commands.PauseConferenceRecording: recordings.pause_conference_recording,
    commands.PauseCallRecording: recordings.pause_call_recording,
    commands.ListRecordings: recordings.list_recordings,
    commands.GetRecording: recordings.get_recording,
    commands.RetryWork: recordings.retry_work,
    commands.DeleteRecording: recordings.delete_recording,
    commands.DeleteRecordings: recordings.delete_recordings,
    commands.HoldRecording: holds.hold_recording,
    commands.ReleaseRecording: holds.release_recording,
    commands.KeepRecording: holds.keep_recording,
    commands.GetKeeping: holds.get_keeping,
    commands.GetProof: proof.get_proof,
    commands.GetChain: proof.get_chain,
    commands.TranscribeRecording: transcripts.transcribe_recording,
    commands.GetTranscript: transcripts.get_transcript,
    commands.ViewTranscript: transcripts.view_transcript,
    commands.DeleteTranscript: transcripts.delete_transcript,
    commands.ListTranscripts: transcripts.list_transcripts,
    commands.SetBucket: storage.set_bucket,
    commands.UnsetBucket: storage.unset_bucket,
    commands.ListBuckets: storage.list_buckets,
    commands.CheckBuckets: storage.check_buckets,
    commands.ListDeliveries: deliveries.list_deliveries,
    commands.GetDelivery: deliveries.get_delivery,
    commands.ReplayDelivery: deliveries.replay_delivery,
}


class Control:
    """What dialects, the CLI and call programs talk to."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._once = OnceKeeper(parts.clock)

    async def execute(self, command: Command[OutcomeT]) -> OutcomeT:
        """Runs it to its end, even if who asked goes away meanwhile; with a key only once
        (`domain.command.Once`).

        Raises TapelineError for what can be wrong with a request; TypeError for a command that
        has no use case.
        """
        use_case = USE_CASES.get(type(command))
        if use_case is None:
            raise TypeError(f"no use case for {type(command).__name__}")

        async def work() -> Any:
            return await use_case(self.parts, command)

        once = await once_of(self.parts, command)
        run = work() if once is None else self._once.run(once, work)
        return cast("OutcomeT", await unbroken(run))

    async def authenticate(self, credentials: Credentials) -> Account:
        """Raises Unauthenticated."""
        return await self.parts.accounts.authenticate(credentials)
