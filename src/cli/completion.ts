/**
 * How each shell asks for words. What the program prints is never evaluated: names of tools are those of servers, and
 * a shell that expands them would run what they say.
 */
const SCRIPTS = {
  bash: `_mcp_manifold() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("$1" complete-words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case "\${COMPREPLY[0]-}" in *= | *.) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _mcp_manifold mcp-manifold
`,
  zsh: `#compdef mcp-manifold
_mcp_manifold() {
  local -a found
  found=(\${(f)"$("\${words[1]}" complete-words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#found} )); then
    compadd -- "\${found[@]}"
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_mcp-manifold" ]; then
  _mcp_manifold "$@"
else
  compdef _mcp_manifold mcp-manifold
fi
`,
  fish: `function __mcp_manifold_words
  set -l words (commandline -opc) (commandline -ct)
  $words[1] complete-words -- $words[2..-1] 2>/dev/null
end
complete -c mcp-manifold -a '(__mcp_manifold_words)'
`,
  powershell: `Register-ArgumentCompleter -Native -CommandName mcp-manifold -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  $next = if ($wordToComplete -eq '') { @('--next') } else { @() }
  & mcp-manifold complete-words @next -- @words 2>$null | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`,
} as const

/** `completion`: prints the script that a shell reads. */
export function runCompletion(shell: keyof typeof SCRIPTS): void {
  process.stdout.write(SCRIPTS[shell])
}
