"""How scenarios, devices, faults and what happens are called; what is not named here is shown by its own name."""

from collections.abc import Mapping

from core.web.desks.simulators.port import Happened, KnownScenario, Planned, RunState
from core.web.frame.states import Tone
from core.web.frame.templating import Words

TITLES = {
    "all_faults": ("web.scenario_all_faults", "web.scenario_all_faults_about"),
    "cold_room_failure": ("web.scenario_cold_room_failure", "web.scenario_cold_room_failure_about"),
    "edge_node": ("web.scenario_edge_node", "web.scenario_edge_node_about"),
    "filling_line": ("web.scenario_filling_line", "web.scenario_filling_line_about"),
    "secured_machine": ("web.scenario_secured_machine", "web.scenario_secured_machine_about"),
    "sensor_silent": ("web.scenario_sensor_silent", "web.scenario_sensor_silent_about"),
    "serial_bus": ("web.scenario_serial_bus", "web.scenario_serial_bus_about"),
    "truck_door": ("web.scenario_truck_door", "web.scenario_truck_door_about"),
}
KINDS = {
    "mqtt_sensor": "web.device_mqtt_sensor",
    "sparkplug_node": "web.device_sparkplug_node",
    "filling_machine": "web.device_filling_machine",
    "cold_room_controller": "web.device_cold_room_controller",
    "mqtt_load": "web.device_mqtt_load",
}
FAULTS = {
    "drop_out": "web.fault_drop_out",
    "freeze": "web.fault_freeze",
    "spike": "web.fault_spike",
    "duplicate": "web.fault_duplicate",
    "out_of_order": "web.fault_out_of_order",
    "clock_step": "web.fault_clock_step",
    "wrong_unit": "web.fault_wrong_unit",
    "disconnect": "web.fault_disconnect",
    "garbage": "web.fault_garbage",
}
DID = {
    "up": "web.did_up",
    "over": "web.did_over",
    "failed": "web.did_failed",
    "door_open": "web.did_door_open",
    "door_close": "web.did_door_close",
    "compressor_fail": "web.did_compressor_fail",
    "compressor_repair": "web.did_compressor_repair",
    "power_off": "web.did_power_off",
    "power_on": "web.did_power_on",
    "set_ambient": "web.did_set_ambient",
    "setpoint": "web.did_setpoint",
    "set_temperature": "web.did_set_temperature",
    "set_ambient_back": "web.did_set_back",
    "setpoint_back": "web.did_set_back",
    "set_temperature_back": "web.did_set_back",
    "load_product": "web.did_load_product",
    "silence": "web.did_silence",
    "resume": "web.did_resume",
    "opcua_state": "web.did_opcua_state",
    "opcua_status": "web.did_opcua_status",
    "break_probe": "web.did_break_probe",
    "mend_probe": "web.did_mend_probe",
    "fault": "web.did_fault",
    "fault_over": "web.did_fault_over",
}
FIGURES = {
    "set_temperature": "web.did_set_temperature",
    "setpoint": "web.did_setpoint",
    "set_ambient": "web.did_set_ambient",
}
"""Figures of a space that are set by click, °C."""
STATES: Mapping[RunState, tuple[Tone, str]] = {
    "starting": ("wait", "web.run_starting"),
    "running": ("ok", "web.run_running"),
    "over": ("no", "web.run_over"),
    "stopped": ("no", "web.run_stopped"),
    "failed": ("warn", "web.run_failed"),
}


class Said:
    """What templates ask, for one reader."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def title(self, one: KnownScenario | str) -> str:
        """What a scenario is called."""
        name = one if isinstance(one, str) else one.name
        fallback = one if isinstance(one, str) else one.title
        return self._words.t(TITLES[name][0]) if name in TITLES else fallback

    def about(self, one: KnownScenario) -> str:
        """What it shows."""
        return self._words.t(TITLES[one.name][1]) if one.name in TITLES else one.about

    def kind(self, kind: str) -> str:
        """What a device is."""
        return self._words.t(KINDS[kind]) if kind in KINDS else kind

    def fault(self, fault: str) -> str:
        """What a device suffers."""
        return self._words.t(FAULTS[fault]) if fault in FAULTS else fault

    def did(self, one: Planned | Happened) -> str:
        """What was, or will be, done."""
        what = self._words.t(DID[one.did]) if one.did in DID else one.did
        detail = self.fault(one.detail) if one.did in {"fault", "fault_over"} else one.detail
        return f"{what} · {detail}" if detail and one.did != "up" else what

    def state(self, state: RunState) -> str:
        """How a run stands."""
        look, word = STATES[state]
        return self._words.badge(look, self._words.t(word))
