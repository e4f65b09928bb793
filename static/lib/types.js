/**
 * The shapes the hub sends, as types only.
 * Runs on: nothing; read by the type checker.
 */

/** @typedef {"admin" | "client"} Role */

/**
 * @typedef {object} User
 * @property {number | null} id null for the administrator
 * @property {string} username
 * @property {string} display_name
 * @property {Role} role
 */

/**
 * A user that an administrator keeps.
 * @typedef {object} Account
 * @property {number} id
 * @property {string} username
 * @property {string} display_name
 * @property {Role} role
 * @property {boolean} is_active
 * @property {string} created_at
 */

/**
 * An attempt to log in.
 * @typedef {object} LoginAttempt
 * @property {number} id
 * @property {string} username
 * @property {string} ip_address
 * @property {boolean} success
 * @property {string | null} failure_reason
 * @property {string} attempted_at
 */

/**
 * How the attempts of the last 24 hours ended.
 * @typedef {object} LoginSummary
 * @property {string} since
 * @property {number} successes
 * @property {number} failures
 * @property {number} locked
 * @property {number} addresses where the failed and locked ones came from
 */

/**
 * @typedef {object} Setting
 * @property {string} key
 * @property {string} value
 * @property {string} default
 * @property {string} description
 * @property {boolean} read_only
 */

/**
 * @typedef {object} About
 * @property {string} version
 * @property {string} python
 * @property {string} database
 * @property {string} data_dir
 * @property {string} plugins_dir
 * @property {string} log_dir
 * @property {string} started_at
 */

/**
 * The figures of one actor at one moment.
 * @typedef {object} ActorFigures
 * @property {string} name
 * @property {string} actor the class
 * @property {string} parent its supervisor; empty at the top
 * @property {"loop" | "thread"} flavour
 * @property {string} state
 * @property {number} mailbox_depth
 * @property {number} mailbox_limit
 * @property {number} peak_depth the most that ever waited
 * @property {number} recent_peak the most since the figures before these
 * @property {number} handled
 * @property {number} busy_s
 * @property {number} refused
 * @property {number} dropped
 * @property {number} restarts
 * @property {string | null} last_error
 */

/** @typedef {"queued" | "running" | "finished" | "failed" | "cancelled" | "interrupted"} TaskState */

/**
 * One run. Events carry only part of it, so everything but the id may be missing.
 * @typedef {object} Task
 * @property {string} id
 * @property {string} [script_name]
 * @property {TaskState} [state]
 * @property {string | null} [username]
 * @property {string | null} [created_at]
 * @property {string | null} [started_at]
 * @property {string | null} [finished_at]
 * @property {number | null} [exit_code] negative: the signal that ended it
 * @property {number | null} [output_size] bytes
 * @property {number | null} [duration_s]
 * @property {number | null} [cpu_s]
 * @property {number | null} [max_rss_bytes]
 * @property {string | null} [trigger]
 * @property {string | null} [detail] a sentence where the state alone does not explain the end
 * @property {Record<string, string>} [args]
 */

/**
 * @typedef {object} Disk
 * @property {string} name
 * @property {string} mount_point
 * @property {number} total_space bytes
 * @property {number} available_space bytes
 * @property {number} used_space bytes
 * @property {number} usage_percent
 */

/**
 * @typedef {object} Resources
 * @property {number} cpu_percent
 * @property {{name: string, usage: number}[]} cpu_cores
 * @property {number} memory_percent
 * @property {number} memory_used bytes
 * @property {number} memory_total bytes
 * @property {number} swap_used bytes
 * @property {number} swap_total bytes
 * @property {number} uptime_seconds
 * @property {string} sampled_at
 * @property {Disk[]} disks
 * @property {string} [system_name]
 * @property {string} [os_version]
 * @property {string} [host_name]
 */

/**
 * @typedef {object} QuickAction
 * @property {number} id
 * @property {string} name
 * @property {string} script_path
 * @property {string | null} [icon]
 * @property {number} display_order
 * @property {boolean} [confirm] it asks before it runs
 */

/**
 * @typedef {object} ScriptParameter
 * @property {string} name
 * @property {string | null} [default]
 * @property {string} [description]
 */

/**
 * @typedef {object} Script
 * @property {string} name
 * @property {string | null} [description]
 * @property {ScriptParameter[]} [parameter_details] what may be given to it
 */

/**
 * @typedef {"discovered" | "starting" | "ready" | "unhealthy" | "backoff" | "stopping" | "stopped"
 *   | "disabled" | "broken"} PluginState
 */

/**
 * @typedef {object} PluginFigures
 * @property {number | null} cpu_percent of one core
 * @property {number | null} memory_bytes
 * @property {number} requests
 * @property {number} errors
 * @property {number | null} latency_p50_ms
 * @property {number | null} latency_p99_ms
 * @property {number} restarts
 * @property {number | null} uptime_s
 */

/**
 * @typedef {object} Plugin
 * @property {string} id of a broken file that says none, the file's name
 * @property {string} name
 * @property {string} version
 * @property {string | null} author
 * @property {string | null} icon
 * @property {string | null} route
 * @property {boolean} enabled
 * @property {boolean} running
 * @property {"healthy" | "unhealthy" | "disabled"} health
 * @property {PluginState} state
 * @property {string | null} reason a sentence: why it is broken, disabled or in trouble
 * @property {boolean} degraded it says itself that it is not well
 * @property {string} file
 * @property {number | null} protocol
 * @property {number | null} pid
 * @property {string | null} socket_path
 * @property {boolean | null} has_page whether there is a bundle that draws its page; null: not known
 * @property {PluginFigures} figures
 * @property {boolean} sandboxed whether its page runs in a frame without an origin
 * @property {boolean} sandbox_forced whether an administrator wants it so
 * @property {boolean} [has_settings]
 * @property {boolean} [needs_settings] something that it requires has no value, or it says so
 */

/**
 * @typedef {object} PluginSettings
 * @property {any} schema the JSON Schema that the plugin declares
 * @property {Record<string, any>} values what was given, without the secrets
 * @property {string[]} secrets_set
 * @property {Record<string, string>} unusable what is saved and not allowed any more, and why
 * @property {string[]} missing
 */

/**
 * @typedef {object} PluginEvent
 * @property {number} id
 * @property {string} plugin_id
 * @property {string} event_type
 * @property {string} timestamp
 * @property {string | null} details a JSON text
 */

/** @typedef {"trace" | "debug" | "info" | "warn" | "error"} LogLevel */

/**
 * One line of a log, with whatever other fields the plugin wrote.
 * @typedef {{timestamp: string, level: LogLevel, plugin: string, message: string, error?: string,
 *   pid?: number, [field: string]: unknown}} LogLine
 */

/**
 * A message from the hub over the WebSocket.
 * @typedef {object} HubMessage
 * @property {string} type
 * @property {string} [task_id]
 * @property {any} [data]
 * @property {number} [offset] bytes; where the next chunk begins
 * @property {number | null} [code]
 * @property {number} [from] bytes
 * @property {number} [to] bytes
 * @property {string} [stage] how far a cancel has come
 * @property {number} [grace_s] seconds that a cancelled run has to end by itself
 * @property {string} [topic]
 */

export {};
