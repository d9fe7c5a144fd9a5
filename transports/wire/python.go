package wire

import _ "embed" // for PythonSource

// PythonSource is spindle_wire.py, the protocol's other half, for Python 2.7 and
// 3.5 up. The agent packer puts it in front of the agent, and the Ansible plugins
// import it as a module.
//
//go:embed spindle_wire.py
var PythonSource string
