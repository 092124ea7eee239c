"""Runs plugins in Python for Theseus: filters, tests, lookups and actions of a project or of its collections.

Requests and answers are lines of JSON. While a request is worked on, questions may go out (`ask`), each of which is
answered by one line: values of variables, modules and commands on the host, files to and from it.
"""
import base64
import json
import os
import sys
from types import SimpleNamespace

requests = os.fdopen(os.dup(0), 'r', encoding='utf-8', errors='surrogateescape')
answers = os.fdopen(os.dup(1), 'w', encoding='utf-8', errors='surrogateescape')
# What plugins print or read is none of the conversation.
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)
sys.path[:] = [place for place in sys.path if place]

from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader as shared
from ansible.template import Templar
from ansible.utils.display import Display

try:
    from ansible._internal._templating._jinja_common import Marker, UndefinedMarker
except ImportError:
    from jinja2 import Undefined as Marker, StrictUndefined as UndefinedMarker

UNDEFINED = '__theseus_undefined__'


class Later(BaseException):
    """What was asked for is not known yet: the whole request will be made again."""


def tell(what):
    answers.write(json.dumps(what) + '\n')
    answers.flush()


def ask(what, **about):
    tell(dict(about, ask=what))
    line = requests.readline()
    if not line:
        sys.exit(0)
    answer = json.loads(line, object_hook=opened)
    if 'later' in answer:
        raise Later()
    return answer


def undefined(message):
    try:
        return UndefinedMarker(hint=message, _no_template_source=True)
    except TypeError:
        return UndefinedMarker(hint=message)


def opened(entries):
    if len(entries) == 1 and UNDEFINED in entries:
        return undefined(entries[UNDEFINED])
    return entries


def plain(value):
    """As JSON has it."""
    if isinstance(value, Marker):
        return {UNDEFINED: str(getattr(value, '_undefined_message', 'undefined'))}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return value.decode('utf-8', 'surrogateescape')
    if hasattr(value, 'items'):
        return {key if isinstance(key, str) else str(key): plain(each) for key, each in value.items()}
    if hasattr(value, '__iter__'):
        return [plain(each) for each in value]
    if hasattr(value, 'isoformat'):
        return value.isoformat()
    raise TypeError("a value of type %r is not data" % type(value).__name__)


class Variables(dict):
    """The task's variables, asked for when they are used."""

    def __init__(self):
        super().__init__()
        self.names = None

    def all_names(self):
        if self.names is None:
            self.names = ask('names')['names']
        return self.names

    def __missing__(self, name):
        answer = ask('variable', name=name) if isinstance(name, str) else {}
        if 'value' not in answer:
            raise KeyError(name)
        self[name] = answer['value']
        return answer['value']

    def get(self, name, default=None):
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name):
        try:
            self[name]
        except KeyError:
            return False
        return True

    def keys(self):
        return list(dict.fromkeys([*self.all_names(), *dict.keys(self)]))

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.keys())

    def items(self):
        return [(name, self.get(name)) for name in self.keys()]

    def values(self):
        return [self.get(name) for name in self.keys()]

    def copy(self):
        return dict(self.items())


class Surroundings:
    """What stays between requests."""

    def __init__(self):
        self.loader = DataLoader()
        self.folders = set()
        self.roots = None

    def enter(self, request):
        roots = request.get('roots', [])
        if self.roots is None:
            getattr(shared, 'init_plugin_loader', lambda paths: None)(roots)
        elif roots != self.roots:
            from ansible.utils.collection_loader import AnsibleCollectionConfig
            AnsibleCollectionConfig.playbook_paths = [os.path.dirname(root) for root in roots]
        self.roots = roots
        for folder in request.get('folders', []):
            if folder not in self.folders:
                self.folders.add(folder)
                shared.add_all_plugin_dirs(folder)
        if request.get('base'):
            self.loader.set_basedir(request['base'])


def warn(self, msg, *_args, **_more):
    ask('warn', text=str(msg))


Display.warning = warn
Display.deprecated = lambda self, *_args, **_more: None


class Unknown(Exception):
    """There is no such plugin."""


def jinja_function(loader, kind, name):
    try:
        plugin = loader.get(name)
    except KeyError:
        plugin = None
    function = getattr(plugin, 'j2_function', None)
    if function is None:
        for each in loader.all():
            function = function or getattr(each, kind, dict)().get(name)
    if function is None:
        raise Unknown()
    return plugin, function


def jinja(loader, kind, request, around):
    plugin, function = jinja_function(loader, kind, request['name'])
    value, args, named = request['value'], request['args'], request['named']
    if not getattr(plugin, 'accept_args_markers', False):
        for each in [value, *args, *named.values()]:
            if isinstance(each, Marker):
                return each
    wanted = getattr(getattr(function, 'jinja_pass_arg', None), 'name', None)
    if wanted:
        environment = Templar(loader=around.loader, variables=Variables()).environment
        first = environment
        if wanted != 'environment':
            first = environment.from_string('').new_context(Variables())
            first = first.eval_ctx if wanted == 'eval_context' else first
        args = [first, value, *args]
    else:
        args = [value, *args]
    return function(*args, **named)


def lookup(request, around):
    variables = Variables()
    templar = Templar(loader=around.loader, variables=variables)
    plugin = shared.lookup_loader.get(request['name'], loader=around.loader, templar=templar)
    if plugin is None:
        raise Unknown()
    terms, named = request['args'], request['named']
    if not getattr(plugin, 'accept_args_markers', False):
        for each in [*terms, *named.values()]:
            if isinstance(each, Marker):
                return [each]
    variables['ansible_search_path'] = request['search']
    result = plugin.run(terms, variables=variables, **named)
    return list(result)


def remote_module(self, module_name=None, module_args=None, *_args, **_more):
    given = self._task.args if module_args is None else module_args
    given = {name: value for name, value in given.items() if not name.startswith('_ansible_')}
    name = module_name or self._task.action
    # Who wants to wait for it later says for how long it may go on.
    seconds = int(self._task.async_val or 0) or 3600 if _more.get('wrap_async') else 0
    about = dict(name=name, args=plain(given), check=bool(self._task.check_mode), seconds=seconds)
    return ask('module', **about)['result']


def remote_command(self, cmd, sudoable=True, in_data=None, executable=None, encoding_errors=None, chdir=None):
    if isinstance(in_data, bytes):
        in_data = in_data.decode('utf-8', 'surrogateescape')
    result = ask('command', command=plain(cmd), stdin=in_data, executable=executable, chdir=chdir)['result']
    text = {'stdout': result.get('stdout', ''), 'stderr': result.get('stderr') or result.get('msg', '')}
    lines = {name + '_lines': value.splitlines() for name, value in text.items()}
    return dict(text, rc=result.get('rc', 1), **lines)


def put_file(local, remote):
    with open(local, 'rb') as content:
        ask('put', path=remote, content=base64.b64encode(content.read()).decode())


def fetch_file(remote, local):
    content = ask('fetch', path=remote)
    with open(local, 'wb') as file:
        file.write(base64.b64decode(content['content']))


def full_names(defaults):
    """`module_defaults` under the names that modules have after they were found."""
    full = dict(defaults)
    for name, args in defaults.items():
        if '.' not in name:
            full.setdefault('ansible.builtin.' + name, args)
            full.setdefault('ansible.legacy.' + name, args)
    return full


def task_of(request):
    from ansible.playbook.task import Task
    task = Task()
    for name in ('action', 'args', 'name', 'check_mode', 'diff', 'no_log', 'delegate_to', 'collections'):
        setattr(task, name, request.get(name))
    task.async_val, task.environment = 0, []
    task.module_defaults = [full_names(layer) for layer in request['module_defaults']]
    task._parent = SimpleNamespace(_play=SimpleNamespace(_action_groups={}, _group_actions={}), _parent=None)
    try:
        task._resolved_action = task.resolved_action = request['action']
    except AttributeError:
        pass
    task.get_search_path = lambda: request['search']
    return task


def searched(collections):
    """Plugins of the project itself are found behind those of the listed collections."""
    if not collections or {'ansible.legacy', 'ansible.builtin'} & set(collections):
        return collections or None
    return [*collections, 'ansible.legacy']


def action(request, around):
    from ansible.playbook.play_context import PlayContext
    from ansible.plugins.action import ActionBase
    ActionBase._execute_module = remote_module
    ActionBase._low_level_execute_command = remote_command
    variables = Variables()
    play = PlayContext()
    play.check_mode, play.diff = request['check_mode'], request['diff']
    play.remote_user, play.become, play.become_user = request['user'], False, request['become_user']
    connection = shared.connection_loader.get(request['connection'], play, os.devnull)
    connection = connection or shared.connection_loader.get('local', play, os.devnull)
    connection.set_options(var_options={}, direct={})
    connection._connected = True
    connection.put_file, connection.fetch_file = put_file, fetch_file
    connection._shell.set_options(var_options={}, direct={})
    plugin = shared.action_loader.get(
        request['action'], task=task_of(request), connection=connection, play_context=play, loader=around.loader,
        templar=Templar(loader=around.loader, variables=variables), shared_loader_obj=shared,
        collection_list=searched(request['collections']),
    )
    if plugin is None:
        raise Unknown()
    if '_raw_params' in request['args'] and not getattr(plugin, 'supports_raw_params', False):
        raise ValueError("Action %r does not support raw params." % request['action'])
    try:
        return plugin.run(task_vars=variables)
    finally:
        plugin.cleanup()


WORK = {
    'filter': lambda request, around: jinja(shared.filter_loader, 'filters', request, around),
    'test': lambda request, around: jinja(shared.test_loader, 'tests', request, around),
    'lookup': lookup,
    'action': action,
}


def failure(problem):
    """What an exception says, and the result that comes with some."""
    import traceback
    result = getattr(problem, 'result', None)
    text = getattr(problem, 'message', None) or str(problem)
    kind = type(problem).__name__
    trace = ''.join(traceback.format_exception(type(problem), problem, problem.__traceback__))
    more = plain(result) if isinstance(result, dict) else {}
    undefined = any(each.__name__ == 'UndefinedError' for each in type(problem).__mro__)
    return {'failed': text or kind, 'kind': kind, 'trace': trace, 'result': more, 'undefined': undefined}


def answer(line, around):
    try:
        request = json.loads(line, object_hook=opened)
        around.enter(request)
        return {'done': plain(WORK[request['do']](request, around))}
    except Later:
        return {'later': True}
    except Unknown:
        return {'unknown': True}
    except Exception as problem:
        return failure(problem)


def main():
    around = Surroundings()
    while True:
        line = requests.readline()
        if not line:
            return
        tell(answer(line, around))


main()
