# Installs skerry-agent from this folder on Windows, as administrator: .\install.ps1 [-Uninstall] [-Purge]
# It runs as a task of LOCAL SERVICE from the start of the machine: a Node.js program does not speak with the service manager.
param([switch]$Uninstall, [switch]$Purge)
$ErrorActionPreference = 'Stop'
$task = 'Skerry agent'
$program = Join-Path $env:ProgramFiles 'Skerry'
$state = Join-Path $env:ProgramData 'Skerry\agent'
$executable = Join-Path $program 'skerry-agent.exe'
$config = Join-Path $program 'agent.yaml'

if (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue) {
  Stop-ScheduledTask -TaskName $task
  Unregister-ScheduledTask -TaskName $task -Confirm:$false
}
if ($Uninstall -or $Purge) {
  Remove-Item -Recurse -Force $program -ErrorAction SilentlyContinue
  if ($Purge) { Remove-Item -Recurse -Force $state -ErrorAction SilentlyContinue }
  exit 0
}

New-Item -ItemType Directory -Force $program, $state | Out-Null
Copy-Item (Join-Path $PSScriptRoot 'skerry-agent.exe') $executable -Force
if (-not (Test-Path $config)) { Copy-Item (Join-Path $PSScriptRoot 'agent.yaml') $config }
# The device's key lies in the state folder: administrators, the system and the service's user, nobody else. By number, because
# the names differ between languages: S-1-5-32-544, S-1-5-18, S-1-5-19 (LOCAL SERVICE).
icacls $state /inheritance:r /grant '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' '*S-1-5-19:(OI)(CI)M' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "the rights on $state could not be set" }

$arguments = "run --data `"$state`" --config `"$config`""
$action = New-ScheduledTaskAction -Execute $executable -Argument $arguments
$principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-19' -LogonType ServiceAccount -RunLevel Limited
$settings = New-ScheduledTaskSettingsSet -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) -ExecutionTimeLimit ([TimeSpan]::Zero) `
  -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
Register-ScheduledTask -TaskName $task -Action $action -Trigger (New-ScheduledTaskTrigger -AtStartup) -Principal $principal -Settings $settings | Out-Null
Write-Output "installed; now: & '$executable' enroll --data '$state' --hub URL --token TOKEN; Start-ScheduledTask '$task'"
